variable "name" {
  description = "Name of the pool: people lease addresses by it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])$", var.name))
    error_message = "Use 2 to 40 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "first" {
  description = "First address that may be leased."
  type        = string
  nullable    = false

  validation {
    condition     = can(cidrnetmask("${var.first}/32"))
    error_message = "Give an IPv4 address, for instance 10.40.19.201."
  }
}

variable "last" {
  description = "Last address that may be leased."
  type        = string
  nullable    = false

  validation {
    condition     = can(cidrnetmask("${var.last}/32"))
    error_message = "Give an IPv4 address, for instance 10.40.19.253."
  }

  validation {
    condition     = try(cidrhost("${var.last}/${var.prefix_length}", 0) == cidrhost("${var.first}/${var.prefix_length}", 0), false)
    error_message = "The first and the last address must lie in one network of the given prefix length."
  }
}

variable "prefix_length" {
  description = "Prefix length of the network that the addresses lie in."
  type        = number
  default     = 24
  nullable    = false

  validation {
    condition     = var.prefix_length == floor(var.prefix_length) && var.prefix_length >= 8 && var.prefix_length <= 30
    error_message = "Give a whole number from 8 to 30."
  }
}

variable "gateway" {
  description = "Default gateway of the machines."
  type        = string
  nullable    = false

  validation {
    condition     = try(cidrhost("${var.gateway}/${var.prefix_length}", 0) == cidrhost("${var.first}/${var.prefix_length}", 0), false)
    error_message = "The gateway must be an IPv4 address in the network of the pool."
  }
}

variable "nameservers" {
  description = "Name servers of the machines."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.nameservers) > 0 && alltrue([for server in var.nameservers : can(cidrnetmask("${server}/32"))])
    error_message = "Give one or more IPv4 addresses."
  }
}

variable "first_vmid" {
  description = "VMID that belongs to the first address; every next address has the next VMID. Keep all of them free for this pool."
  type        = number
  nullable    = false

  validation {
    condition     = var.first_vmid == floor(var.first_vmid) && var.first_vmid >= 100
    error_message = "Give a whole number from 100 on."
  }
}

variable "excluded" {
  description = "Addresses of the range that are never leased: single ones, or ranges like 10.40.19.210-10.40.19.215."
  type        = list(string)
  default     = null
}
