//! `#[derive(Model)]` for `kubesmith-tfplugin`: one struct is schema, documentation and codec.
//!
//! What Terraform would refuse when it loads the schema does not compile here.

mod arguments;
mod container;
mod expand;
mod field;

use proc_macro::TokenStream;

/// Makes a struct a Terraform object: the provider block, a resource, a data source, an
/// ephemeral resource, or a nested object.
///
/// On the struct: `#[tf(type_name = "x_y")]` for all but the provider block and nested objects,
/// with `version = 1`, `identity_version = 1` and
/// `timeouts(create = "30m", read = .., update = .., delete = "10m", open = ..)` where wanted;
/// `#[tf(computed)]` for a nested object that only the provider writes (its fields then need no
/// `#[tf]`). Doc comments are the descriptions, and every attribute needs one.
///
/// On a field, exactly one of
/// - `required`: the type is plain;
/// - `optional`: the type is `Option`, or `Value` together with `computed`;
/// - `computed`: the type is `Value`;
/// - `default = expr`: optional, and this when nothing is written; the type is plain. A string
///   literal is taken as written, anything else must have the field's type;
///
/// and any of `replace` (a change needs a new object), `keep` (a computed value stays when
/// something else changes), `not_null` (a computed value will not be null, and the plan may rely
/// on it), `prefix = "https://"` (the same, and how it begins), `sensitive`, `write_only` (the value is there in create and update and never stored;
/// the type is `Option`, also of a required one), `identity` (part of what tells the object from
/// all others of its kind), `validate = f` (`fn(&T) -> Result<(), impl Display>`, `T` without
/// `Option` and `Value`), `deprecated = "why"`, `name = "hcl_name"`.
#[proc_macro_derive(Model, attributes(tf))]
pub fn derive_model(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::model(&input).unwrap_or_else(|fault| fault.to_compile_error()).into()
}

/// Makes a struct the parameters of a function: its fields, in order.
///
/// On the struct: `#[tf(name = "label")]`, and `deprecated = "why"` where wanted. The first
/// paragraph of its doc comment is the summary.
///
/// A field of type `Option` may be null, one of type `Value` may be unknown too. On the last
/// field, `#[tf(variadic)]` takes all arguments that are left; its type is `Vec`.
#[proc_macro_derive(Arguments, attributes(tf))]
pub fn derive_arguments(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    arguments::arguments(&input).unwrap_or_else(|fault| fault.to_compile_error()).into()
}
