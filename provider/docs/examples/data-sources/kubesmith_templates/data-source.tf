data "kubesmith_templates" "all" {}

output "templates" {
  value = distinct(data.kubesmith_templates.all.templates[*].name)
}
