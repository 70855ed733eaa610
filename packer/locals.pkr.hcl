locals {
  minor    = join(".", slice(split(".", var.kubernetes_version), 0, 2))
  template = "ubuntu-${var.ubuntu}-k8s-${local.minor}"
  # A cluster's `template` may be this name, or the tag that copies on several nodes share.
  tags        = "kubesmith;${local.template}"
  description = "Ubuntu ${var.ubuntu} with Kubernetes ${var.kubernetes_version}, by Kubesmith. /etc/kubesmith/image.json lists its contents."

  # The name by which Ansible knows the machine; its clones get their own from cloud-init.
  hostname = "kubesmith-image"
  user     = "packer"

  # A key is the only way into the machine while it is built: no password opens it, at no time.
  autoinstall = templatefile("${path.root}/autoinstall/user-data.pkrtpl.hcl", {
    hostname   = local.hostname
    user       = local.user
    public_key = trimspace(file("${var.ssh_key_file}.pub"))
    uefi       = var.firmware == "uefi"
  })
}
