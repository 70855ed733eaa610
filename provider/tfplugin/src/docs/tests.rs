use super::*;
use crate::value::{Secret, Value};
use crate::{Cx, DataSource, DataSources, Function, Functions, Resource, Resources, Result};

/// A house.
///
/// It stands on a lot.
#[derive(crate::Model)]
#[tf(type_name = "town_house", timeouts(create = "90m"))]
struct House {
    /// Identifier.
    #[tf(computed, keep)]
    id: Value<String>,
    /// Where it stands.
    #[tf(required, replace)]
    street: String,
    /// Its rooms.
    #[tf(required)]
    rooms: Vec<Room>,
}

/// A room.
#[derive(crate::Model)]
struct Room {
    /// Its use.
    #[tf(default = "living")]
    purpose: String,
    /// Opens it.
    #[tf(optional, write_only)]
    code: Option<Secret<String>>,
}

struct Houses;

impl Resource for Houses {
    type Model = House;
    type Client = ();

    async fn create(&self, _cx: &Cx<()>, plan: House) -> Result<House> {
        Ok(plan)
    }
    async fn read(&self, _cx: &Cx<()>, state: House) -> Result<Option<House>> {
        Ok(Some(state))
    }
    async fn delete(&self, _cx: &Cx<()>, _state: House) -> Result<()> {
        Ok(())
    }
}

/// A house of somebody else.
#[derive(crate::Model)]
#[tf(type_name = "town_house")]
struct Found {
    /// Where it stands.
    #[tf(required)]
    street: String,
    /// Who lives there.
    #[tf(computed)]
    people: Value<Vec<String>>,
}

impl DataSource for Houses {
    type Model = Found;
    type Client = ();

    async fn read(&self, _cx: &Cx<()>, config: Found) -> Result<Found> {
        Ok(config)
    }
}

/// Joins words.
///
/// In their order.
#[derive(crate::Arguments)]
#[tf(name = "join", deprecated = "Take `joined`.")]
struct Join {
    /// Goes between.
    separator: Option<String>,
    /// The words.
    #[tf(variadic)]
    words: Vec<String>,
}

impl Function for Join {
    type Output = Vec<String>;

    fn call(self) -> Result<Vec<String>> {
        Ok(self.separator.into_iter().chain(self.words).collect())
    }
}

/// A town.
#[derive(crate::Model)]
struct Config {
    /// Its name.
    #[tf(required)]
    name: String,
}

struct Town;

impl Provider for Town {
    type Config = Config;
    type Client = ();

    async fn configure(&self, _terraform: &str, _config: Config) -> Result<()> {
        Ok(())
    }
    fn resources(&self) -> Resources<()> {
        Resources::new().with(Houses)
    }
    fn data_sources(&self) -> DataSources<()> {
        DataSources::new().with(Houses)
    }
    fn functions(&self) -> Functions {
        Functions::new().with::<Join>()
    }
}
/// The text of one page.
fn page(path: &str) -> String {
    let example = |path: &str| {
        let text = match path {
            "resources/town_house/resource.tf" => {
                "resource \"town_house\" \"mine\" {\n  street = \"Elm\"\n}\n"
            }
            "resources/town_house/import.sh" => "terraform import town_house.mine Elm\n",
            _ => return None,
        };
        Some(text.to_owned())
    };
    let pages = pages(&Town, "town", example);
    let page = pages.into_iter().find(|page| page.path == path);
    page.unwrap_or_else(|| panic!("there is no {path}")).text
}

#[test]
fn a_page_says_what_the_schema_says() {
    insta::assert_snapshot!(page("resources/house.md"), @r#"
    ---
    page_title: "town_house Resource - town"
    subcategory: ""
    description: |-
      A house.
    ---

    # town_house (Resource)

    A house.

    It stands on a lot.

    ## Example Usage

    ```terraform
    resource "town_house" "mine" {
      street = "Elm"
    }
    ```

    ## Schema

    ### Required

    - `rooms` (Attributes List) Its rooms. (see [below for nested schema](#nestedatt--rooms))
    - `street` (String) Where it stands. Changing this replaces the object.

    ### Optional

    - `timeouts` (Attributes) How long the operations may take. (see [below for nested schema](#nestedatt--timeouts))

    ### Read-Only

    - `id` (String) Identifier.

    <a id="nestedatt--rooms"></a>
    ### Nested Schema for `rooms`

    Optional:

    - `code` (String, Sensitive, [Write-only](https://developer.hashicorp.com/terraform/language/resources/ephemeral#write-only-arguments)) Opens it.
    - `purpose` (String) Its use. Default: `living`.

    <a id="nestedatt--timeouts"></a>
    ### Nested Schema for `timeouts`

    Optional:

    - `create` (String) How long a create may take, for instance `90s` or `1h30m`. Default: `1h30m`.

    ## Import

    ```shell
    terraform import town_house.mine Elm
    ```
    "#);
}

#[test]
fn every_kind_of_thing_has_its_page() {
    let pages = pages(&Town, "town", |_| None);
    let paths: Vec<_> = pages.iter().map(|page| page.path.as_str()).collect();
    assert_eq!(
        paths,
        ["index.md", "resources/house.md", "data-sources/house.md", "functions/join.md"]
    );
    insta::assert_snapshot!(page("functions/join.md"), @r#"
    ---
    page_title: "join function - town"
    subcategory: ""
    description: |-
      Joins words.
    ---

    # function: join

    Joins words.

    In their order.

    ~> **Deprecated** Take `joined`.

    ## Signature

    ```text
    join(separator string, words string...) list of string
    ```

    ## Arguments

    1. `separator` (String, Nullable) Goes between.
    1. `words` (Variadic, String) The words.
    "#);
    insta::assert_snapshot!(page("data-sources/house.md"), @r#"
    ---
    page_title: "town_house Data Source - town"
    subcategory: ""
    description: |-
      A house of somebody else.
    ---

    # town_house (Data Source)

    A house of somebody else.

    ## Schema

    ### Required

    - `street` (String) Where it stands.

    ### Read-Only

    - `people` (List of String) Who lives there.
    "#);
}

#[test]
fn pages_are_written_and_compared() {
    let directory = tempfile::tempdir().unwrap();
    let pages = pages(&Town, "town", |_| None);
    let faults = check(&pages, directory.path()).unwrap();
    assert_eq!(faults.len(), 4, "{faults:?}");
    write(&pages, directory.path()).unwrap();
    assert_eq!(check(&pages, directory.path()).unwrap(), Vec::<String>::new());
    std::fs::write(directory.path().join("functions/gone.md"), "old").unwrap();
    std::fs::write(directory.path().join("index.md"), "edited").unwrap();
    let faults = check(&pages, directory.path()).unwrap();
    assert_eq!(faults, ["functions/gone.md should not be there", "index.md differs"]);
    write(&pages, directory.path()).unwrap();
    assert_eq!(check(&pages, directory.path()).unwrap(), Vec::<String>::new());
}
