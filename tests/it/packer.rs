//! The definitions of golden images: as far as a machine without Proxmox VE and without Packer's plugins can tell.

use std::{collections::BTreeMap, fs, path::PathBuf};

use hcl_edit::structure::{Body, Structure};
use yaml_rust2::{Yaml, YamlLoader};

use crate::world::{Needs, command, lab_tool, root, terraform, text, world};

/// What the plugin of the required version knows, without what it calls deprecated; read from its documentation.
const ATTRIBUTES: &str = include_str!("../fixtures/packer/proxmox-1.2.4.json");

fn files(ending: &str) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(root().join("packer")).expect("packer/").flatten();
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<_> = paths
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .map(|path| (path.clone(), fs::read_to_string(path).expect("a file")))
        .collect();
    files.sort();
    files
}

fn body(ending: &str) -> Body {
    let parse = |(path, text): (PathBuf, String)| {
        text.parse::<Body>().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files(ending).into_iter().flat_map(parse).collect()
}

#[test]
fn sources_use_only_what_the_current_plugin_knows() {
    let known: BTreeMap<String, Vec<String>> = serde_json::from_str(ATTRIBUTES).expect("JSON");
    let body = body(".pkr.hcl");
    let sources: Vec<_> = body.get_blocks("source").collect();
    assert_eq!(sources.len(), 2, "one source for the installer, one for the cloud image");
    for source in sources {
        let builder = source.labels[0].as_str();
        let allowed = [&known["source"][..], &known[builder]].concat();
        check(builder, &source.body, &allowed, &known);
    }
}

fn check(place: &str, body: &Body, allowed: &[String], known: &BTreeMap<String, Vec<String>>) {
    for structure in body {
        // `dynamic "disks" { content { ... } }` is a block `disks`.
        let (name, inner) = match structure {
            Structure::Attribute(attribute) => (attribute.key.as_str(), None),
            Structure::Block(block) if block.ident.as_str() == "dynamic" => {
                let content = block.body.get_blocks("content").next().expect("content");
                (block.labels[0].as_str(), Some(&content.body))
            }
            Structure::Block(block) => (block.ident.as_str(), Some(&block.body)),
        };
        assert!(allowed.iter().any(|known| known == name), "{place} has no {name}");
        if let Some(inner) = inner {
            check(name, inner, &known[name], known);
        }
    }
}

#[test]
fn releases_set_variables_that_exist_and_every_variable_is_explained() {
    let body = body(".pkr.hcl");
    let variables: Vec<_> = body.get_blocks("variable").collect();
    for variable in &variables {
        let name = variable.labels[0].as_str();
        assert!(variable.body.get_attribute("description").is_some(), "{name} is not described");
    }
    let releases = files(".pkrvars.hcl");
    assert_eq!(releases.len(), 2, "22.04 and 24.04");
    for (path, text) in releases {
        let release: Body = text.parse().expect("HCL");
        for attribute in release.attributes() {
            let known =
                variables.iter().any(|known| known.labels[0].as_str() == attribute.key.as_str());
            assert!(known, "{}: there is no variable {}", path.display(), attribute.key.as_str());
        }
    }
}

/// The installer's answers, rendered as Packer renders them (its functions are Terraform's), for both firmwares.
#[test]
fn the_installers_answers_are_yaml_that_lets_only_the_key_in() {
    if command(terraform()).arg("version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "terraform is not on PATH");
        return eprintln!("SKIPPED: terraform is not on PATH");
    }
    for uefi in ["true", "false"] {
        let answers = rendered(uefi);
        let install = &answers["autoinstall"];
        assert_eq!(
            install["identity"]["password"].as_str(),
            Some("!"),
            "a password opens the machine"
        );
        assert_eq!(install["ssh"]["allow-pw"].as_bool(), Some(false));
        assert_eq!(install["ssh"]["authorized-keys"][0].as_str(), Some("ssh-ed25519 AAAA key"));
        assert_eq!(install["storage"]["swap"]["size"].as_i64(), Some(0), "kubelet refuses swap");
        let steps = install["storage"]["config"].as_vec().expect("steps");
        let efi = steps.iter().any(|step| step["path"].as_str() == Some("/boot/efi"));
        assert_eq!(efi, uefi == "true");
    }
}

fn rendered(uefi: &str) -> Yaml {
    let dir = tempfile::tempdir().expect("a folder");
    let template = root().join("packer/autoinstall/user-data.pkrtpl.hcl");
    fs::write(
        dir.path().join("main.tf"),
        format!(
            "output \"answers\" {{\n  value = templatefile(\"{}\", {{ hostname = \"h\", user = \"u\", \
             public_key = \"ssh-ed25519 AAAA key\", uefi = {uefi} }})\n}}\n",
            template.display()
        ),
    )
    .expect("main.tf");
    let run = |arguments: &[&str]| {
        let output = command(terraform())
            .args(arguments)
            .current_dir(dir.path())
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_CLI_CONFIG_FILE")
            .output()
            .expect("terraform");
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    run(&["apply", "-auto-approve"]);
    let answers = run(&["output", "-raw", "answers"]);
    assert!(answers.starts_with("#cloud-config\n"), "{answers}");
    YamlLoader::load_from_str(&answers).expect("YAML").remove(0)
}

/// Debian's Packer is old: it knows the language, but not today's plugins, so their block is left out.
#[test]
fn packer_itself_takes_the_files() {
    let Some(packer) = lab_tool("packer") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    for (path, text) in files(".hcl") {
        let name = path.file_name().expect("a name");
        if name != "plugins.pkr.hcl" {
            fs::write(dir.path().join(name), text).expect("a copy");
        }
    }
    for arguments in [
        &["fmt", "-check", "-diff", "."][..],
        &["validate", "-syntax-only", "-var-file=ubuntu-24.04.pkrvars.hcl", "."],
        &["validate", "-syntax-only", "-var-file=ubuntu-22.04.pkrvars.hcl", "."],
    ] {
        let mut packer = command(&packer);
        packer.args(arguments).current_dir(dir.path()).env("CHECKPOINT_DISABLE", "1");
        let output = packer.output().expect("packer");
        assert!(output.status.success(), "packer {}: {}", arguments.join(" "), text(&output));
    }
}

/// From a login with a password to a template, with the rights that `packer/README.md` tells an administrator to give.
#[test]
fn packer_bakes_a_template_in_the_lab() {
    let Some(world) = world(Needs::Guests) else { return };
    let Some(packer) = lab_tool("packer") else { return };
    let page = fs::read_to_string(root().join("packer/README.md")).expect("README.md");
    let privileges = page.split("--privs \"").nth(1).and_then(|rest| rest.split('"').next());
    // The lab's Proxmox VE is an 8: the page says what that wants as well.
    let privileges = format!("{} VM.Monitor", privileges.expect("a role"));
    let password = "a password of the test";
    let user = "packer@pve";
    world.proxmox("POST", "/access/users", &[("userid", user), ("password", password)]);
    let role = [("roleid", "KubesmithPacker"), ("privs", privileges.as_str())];
    world.proxmox("POST", "/access/roles", &role);
    let grant = [("path", "/"), ("roles", "KubesmithPacker"), ("users", user)];
    world.proxmox("PUT", "/access/acl", &grant);

    let dir = tempfile::tempdir().expect("a folder");
    let fixture = root().join("tests/fixtures/packer/reduced.pkr.hcl");
    fs::copy(fixture, dir.path().join("reduced.pkr.hcl")).expect("a copy");
    let key = command("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", "key"])
        .current_dir(dir.path())
        .status();
    assert!(key.expect("ssh-keygen").success());
    let public = fs::read_to_string(dir.path().join("key.pub")).expect("a key");
    // Proxmox wants keys encoded inside of the encoded form.
    let public: Vec<_> = public.trim().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let public = public.concat();
    let access = [
        ("ciuser", "packer"),
        ("sshkeys", public.as_str()),
        ("ipconfig0", "ip=10.40.19.250/24,gw=10.40.19.254"),
    ];
    world.proxmox("PUT", "/nodes/pve1/qemu/9001/config", &access);

    let output = world
        .inside(packer.to_str().expect("UTF-8"))
        .args(["build", "-color=false", "reduced.pkr.hcl"])
        .current_dir(dir.path())
        .env("CHECKPOINT_DISABLE", "1")
        .env("SSL_CERT_FILE", world.about("ca_file"))
        .env("PKR_VAR_url", format!("{}/api2/json", world.about("url")))
        .env("PKR_VAR_password", password)
        .output()
        .expect("packer");
    let said = text(&output);
    assert!(output.status.success() && !said.contains(password), "{said}");

    let config = world.proxmox("GET", "/nodes/pve1/qemu/19250/config", &[]);
    assert_eq!((&config["template"], &config["name"]), (&1.into(), &"debian-13-baked".into()));
    assert_eq!(config["description"], "Baked by a test.");
    world.stop_and_delete("pve1", 19250);
}
