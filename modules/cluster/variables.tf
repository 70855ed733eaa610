variable "name" {
  description = "Name of the cluster, of its lease, and the beginning of its machines' names."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", var.name))
    error_message = "Use 1 to 40 lower-case letters, digits and hyphens, with a letter or digit at both ends."
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
  description = "How many addresses the cluster may ever use: one for the control plane, the others for workers. Fixed when the lease is made."
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

variable "pod_cidr" {
  description = "Network that pods get addresses from. It must not overlap the machines' network."
  type        = string
  default     = "10.244.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.pod_cidr))
    error_message = "Give an IPv4 network, for instance 10.244.0.0/16."
  }
}

variable "service_cidr" {
  description = "Network that services get addresses from. It must not overlap the machines' network."
  type        = string
  default     = "10.96.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.service_cidr))
    error_message = "Give an IPv4 network, for instance 10.96.0.0/16."
  }
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
