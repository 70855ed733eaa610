# --- Proxmox VE: where the template is made

variable "proxmox_url" {
  description = "Address of the API, with its path: https://pve.example.edu:8006/api2/json."
  type        = string
  default     = env("PROXMOX_URL")
}

variable "proxmox_username" {
  description = "User and token name, packer@pve!image. See README.md for the privileges it needs."
  type        = string
  default     = env("PROXMOX_USERNAME")
}

variable "proxmox_token" {
  description = "The token's secret. Given by PROXMOX_TOKEN, never written down here."
  type        = string
  default     = env("PROXMOX_TOKEN")
  sensitive   = true
}

variable "insecure_skip_tls_verify" {
  description = "Accept any certificate of the API. Better: put the cluster's CA among this machine's trusted ones."
  type        = bool
  default     = false
}

variable "node" {
  description = "Proxmox node that builds the template."
  type        = string
}

variable "proxmox_pool" {
  description = "Proxmox pool of the template; none if empty."
  type        = string
  default     = ""
}

variable "storage" {
  description = "Storage of the template's disks. On shared storage one template serves every node."
  type        = string
  default     = "local-lvm"
}

variable "iso_storage" {
  description = "Storage that takes ISO images: the installer's, and the seed's."
  type        = string
  default     = "local"
}

variable "bridge" {
  description = "Bridge of the machine while it is built. It needs DHCP and a way to the package mirrors."
  type        = string
  default     = "vmbr0"
}

variable "vlan" {
  description = "VLAN tag on that bridge; untagged if empty."
  type        = string
  default     = ""
}

variable "vm_id" {
  description = "VMID of the template; the next free one if 0."
  type        = number
  default     = 0
}

# --- What the template holds

variable "ubuntu" {
  description = "Release of Ubuntu. The files ubuntu-*.pkrvars.hcl set it with all that depends on it."
  type        = string

  validation {
    condition     = contains(["22.04", "24.04"], var.ubuntu)
    error_message = "There are definitions for 22.04 and 24.04."
  }
}

variable "kubernetes_version" {
  description = "Exact version whose packages and container images are baked in. A template belongs to one minor."
  type        = string
  default     = "1.36.4"

  validation {
    condition     = length(split(".", var.kubernetes_version)) == 3 && substr(var.kubernetes_version, 0, 2) == "1."
    error_message = "Give the exact version without a leading v, for instance 1.36.4."
  }
}

variable "package_mirror" {
  description = "Where the layout of pkgs.k8s.io is served."
  type        = string
  default     = "https://pkgs.k8s.io"
}

variable "registry_mirror" {
  description = "URL of a registry that is asked before any other for container images. None if empty."
  type        = string
  default     = ""
}

variable "firmware" {
  description = "`uefi` or `bios`."
  type        = string
  default     = "uefi"

  validation {
    condition     = contains(["uefi", "bios"], var.firmware)
    error_message = "Choose uefi or bios."
  }
}

variable "cpu_type" {
  description = "Processor that machines see. `host` is the fastest; a common model lets them move between unlike nodes."
  type        = string
  default     = "x86-64-v2-AES"
}

variable "disk_size" {
  description = "Size of the template's disk. Machines can have larger disks, never smaller ones."
  type        = string
  default     = "12G"
}

# --- Where Ubuntu comes from

variable "iso_url" {
  description = "The live server's ISO image, for the build from an installer."
  type        = string
}

variable "iso_checksum" {
  description = "`sha256:...`, or `file:` and the address of SHA256SUMS: point releases take old images away."
  type        = string
}

variable "seed" {
  description = "How the installer gets its answers: `cd` needs xorriso here, `http` a way from the machine to this one."
  type        = string
  default     = "cd"

  validation {
    condition     = contains(["cd", "http"], var.seed)
    error_message = "Choose cd or http."
  }
}

variable "cloud_image" {
  description = "Name of the template made from Ubuntu's cloud image (README.md), for the build that is a clone of it."
  type        = string
}

# --- How this machine reaches it

variable "ssh_host" {
  description = "Address of the machine while it is built, where no guest agent tells it; asked of the agent if empty."
  type        = string
  default     = ""
}

variable "ip" {
  description = "Address and prefix length that cloud-init gives the machine while it is built, or dhcp."
  type        = string
  default     = "dhcp"
}

variable "gateway" {
  description = "Gateway to that address."
  type        = string
  default     = ""
}

variable "ssh_key_file" {
  description = "Private key for the build, with the public one beside it: ssh-keygen -t ed25519 -N '' -f build-key. It stays here."
  type        = string
  default     = "build-key"
}

variable "ansible_playbook" {
  description = "The ansible-playbook to run; 2.19 or newer."
  type        = string
  default     = "ansible-playbook"
}
