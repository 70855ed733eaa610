# An address as a number, so that two of them can be compared: Terraform has no function for it.
locals {
  octets = {
    first = [for octet in split(".", var.first) : tonumber(octet)]
    last  = [for octet in split(".", var.last) : tonumber(octet)]
  }
  number = {
    for end, octets in local.octets :
    end => sum([for position, octet in octets : octet * pow(256, 3 - position)])
  }

  size = local.number.last - local.number.first + 1
}
