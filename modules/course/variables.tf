variable "name" {
  description = "Name of the course: every cluster is named after it and its person, for instance net1-ada."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$", var.name))
    error_message = "Use 1 to 20 lower-case letters, digits and hyphens, with a letter or digit at both ends."
  }
}

variable "roster" {
  description = "Logins of the people, each of whom gets a cluster. Whoever leaves the roster loses theirs."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for login in var.roster : can(regex("^[a-z0-9]([a-z0-9-]{0,17}[a-z0-9])?$", login))])
    error_message = "Logins are part of machine names: use 1 to 19 lower-case letters, digits and hyphens."
  }
}

variable "pool" {
  description = "Name of the address pool, as the administrator made it."
  type        = string
  nullable    = false
}

variable "template" {
  description = "Name or tag of the virtual machine template to clone."
  type        = string
  nullable    = false
}

variable "kubernetes_version" {
  description = "Version of Kubernetes, for instance 1.36.4. On a template that brings it, nothing is downloaded."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^1\\.[0-9]+\\.[0-9]+$", var.kubernetes_version))
    error_message = "Give the exact version without a leading v, for instance 1.36.4."
  }
}

variable "lease_size" {
  description = "How many addresses each cluster may ever use: one for the control plane, the others for workers. Fixed when the lease is made."
  type        = number
  default     = 6
  nullable    = false

  validation {
    condition     = var.lease_size == floor(var.lease_size) && var.lease_size >= 1 + var.workers.count
    error_message = "The lease needs one address for the control plane and one for each worker."
  }
}

variable "network" {
  description = "Bridge of the machines, and their VLAN if the bridge has some."
  type = object({
    bridge = string
    vlan   = optional(number)
  })
  default  = { bridge = "vmbr0" }
  nullable = false
}

variable "control_plane" {
  description = "Size of the control plane. kubeadm wants at least 2 cores and 1700 MiB."
  type = object({
    cores      = optional(number, 2)
    memory_mib = optional(number, 4096)
    disk_gib   = optional(number, 20)
  })
  default  = {}
  nullable = false
}

variable "workers" {
  description = "How many workers, and the size of each."
  type = object({
    count      = optional(number, 2)
    cores      = optional(number, 2)
    memory_mib = optional(number, 4096)
    disk_gib   = optional(number, 20)
  })
  default  = {}
  nullable = false
}

variable "storage" {
  description = "Storage of the machines' disks, which makes full clones. Without it, they lie beside the template."
  type        = string
  default     = null

  validation {
    condition     = var.storage == null || var.clone == "full"
    error_message = "Linked clones lie where their template lies: set clone to \"full\" as well."
  }
}

variable "clone" {
  description = "`linked` (made in a second, needs the template as long as it lives) or `full` (a copy)."
  type        = string
  default     = "linked"
  nullable    = false

  validation {
    condition     = contains(["linked", "full"], var.clone)
    error_message = "Choose \"linked\" or \"full\"."
  }
}

variable "proxmox_nodes" {
  description = "Proxmox nodes that new machines may go to; any without it."
  type        = list(string)
  default     = null
}

variable "proxmox_pool" {
  description = "Proxmox pool (the tenant) that the machines become members of."
  type        = string
  default     = null
}

variable "package_mirror" {
  description = "Where the layout of pkgs.k8s.io is served. Asked only if the template does not bring the wanted version."
  type        = string
  default     = null
}

variable "registry_mirror" {
  description = "Registry mirror that machines ask first for every container image."
  type        = string
  default     = null
}
