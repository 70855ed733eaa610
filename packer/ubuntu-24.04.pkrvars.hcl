ubuntu       = "24.04"
iso_url      = "https://releases.ubuntu.com/24.04/ubuntu-24.04.3-live-server-amd64.iso"
iso_checksum = "file:https://releases.ubuntu.com/24.04/SHA256SUMS"
cloud_image  = "ubuntu-24.04-cloud"
