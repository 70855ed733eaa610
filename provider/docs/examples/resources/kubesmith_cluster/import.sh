# The machines do not show their SSH key: the file must have it.
KUBESMITH_IMPORT_SSH_KEY_FILE=demo.key terraform import kubesmith_cluster.demo demo
