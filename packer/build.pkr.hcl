# One build, two ways to a running Ubuntu. From there on both are the same: the roles that make nodes bake the image,
# test it and clean it, and what fails the test never becomes a template.
build {
  name    = "kubesmith"
  sources = ["source.proxmox-iso.ubuntu", "source.proxmox-clone.ubuntu"]

  # The installer's machine and the cloud image's still finish their first boot.
  provisioner "shell" {
    inline           = ["cloud-init status --wait || [ $? -eq 2 ]", "sudo hostnamectl set-hostname ${local.hostname}"]
    valid_exit_codes = [0]
    timeout          = "10m"
  }

  provisioner "ansible" {
    command       = var.ansible_playbook
    playbook_file = "${path.root}/../ansible/image.yml"
    groups        = ["image"]
    host_alias    = local.hostname
    user          = build.User
    use_proxy     = false
    # Nothing secret is among them.
    extra_arguments = [
      "--extra-vars", "kubernetes_version=${var.kubernetes_version}",
      "--extra-vars", "kubernetes_package_mirror=${var.package_mirror}",
      "--extra-vars", "container_registry_mirror=${var.registry_mirror}",
      "--extra-vars", "image_builder_user=${build.User}",
    ]
    ansible_env_vars = ["ANSIBLE_CONFIG=${path.root}/../ansible/ansible.cfg"]
  }
}
