//! What `#[tf(..)]` on a field says, and what may not be said together.

use syn::{Error, Expr, Field, GenericArgument, Ident, LitStr, PathArguments, Result, Type};

use crate::container::{Container, check_name, description};

/// One attribute.
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are the words of the attribute, each its own"
)]
pub(crate) struct FieldModel {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) description: String,
    pub(crate) required: bool,
    pub(crate) optional: bool,
    pub(crate) computed: bool,
    pub(crate) default: Option<Expr>,
    pub(crate) replace: bool,
    pub(crate) keep: bool,
    pub(crate) not_null: bool,
    pub(crate) prefix: Option<LitStr>,
    pub(crate) sensitive: bool,
    pub(crate) write_only: bool,
    pub(crate) identity: bool,
    pub(crate) validate: Option<Expr>,
    pub(crate) deprecated: Option<LitStr>,
}

/// What Terraform keeps for itself in a resource.
const RESERVED: [&str; 7] =
    ["count", "for_each", "depends_on", "lifecycle", "provider", "provisioner", "connection"];

impl FieldModel {
    pub(crate) fn of(field: &Field, container: &Container) -> Result<Self> {
        let ident = field
            .ident
            .clone()
            .ok_or_else(|| Error::new_spanned(field, "attributes need names"))?;
        let plain_name = ident.to_string().trim_start_matches("r#").to_owned();
        let mut model = Self {
            name: plain_name,
            ident,
            ty: field.ty.clone(),
            description: description(&field.attrs),
            required: false,
            optional: false,
            computed: container.computed,
            default: None,
            replace: false,
            keep: false,
            not_null: false,
            prefix: None,
            sensitive: false,
            write_only: false,
            identity: false,
            validate: None,
            deprecated: None,
        };
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("tf")) {
            attribute.parse_nested_meta(|meta| model.read(&meta))?;
        }
        model.check(field, container)?;
        Ok(model)
    }

    fn read(&mut self, meta: &syn::meta::ParseNestedMeta<'_>) -> Result<()> {
        match meta.path.require_ident()?.to_string().as_str() {
            "required" => self.required = true,
            "optional" => self.optional = true,
            "computed" => self.computed = true,
            "replace" => self.replace = true,
            "keep" => self.keep = true,
            "not_null" => self.not_null = true,
            "prefix" => self.prefix = Some(meta.value()?.parse()?),
            "sensitive" => self.sensitive = true,
            "write_only" => self.write_only = true,
            "identity" => self.identity = true,
            "default" => self.default = Some(meta.value()?.parse()?),
            "validate" => self.validate = Some(meta.value()?.parse()?),
            "deprecated" => self.deprecated = Some(meta.value()?.parse()?),
            "name" => self.name = meta.value()?.parse::<LitStr>()?.value(),
            _ => {
                return Err(meta.error(
                    "expected required, optional, computed, default, replace, keep, not_null, prefix, \
                     sensitive, write_only, identity, validate, deprecated or name",
                ));
            }
        }
        Ok(())
    }

    fn check(&self, field: &Field, container: &Container) -> Result<()> {
        let fault = |text: &str| Err(Error::new_spanned(field, text));
        let (is_option, is_value) = (self.is("Option"), self.is("Value"));
        check_name(&self.name, field)?;
        if self.description.is_empty() {
            return fault(
                "every attribute needs a doc comment: it is the description that users read",
            );
        }
        let resource = container.type_name.is_some();
        if resource && RESERVED.contains(&self.name.as_str()) {
            return fault("Terraform keeps this name for itself in resources");
        }
        if resource && container.timeouts.is_some() && self.name == "timeouts" {
            return fault("the framework has an attribute timeouts already");
        }
        if container.computed {
            return if self.required || self.optional || self.default.is_some() {
                fault("the provider alone writes this object: its attributes are computed")
            } else {
                Ok(())
            };
        }
        if !(self.required || self.optional || self.computed || self.default.is_some()) {
            return fault("say required, optional, computed or default = ..");
        }
        if self.required && (self.optional || self.computed || self.default.is_some()) {
            return fault("required excludes optional, computed and default");
        }
        if self.default.is_some() && (self.optional || self.computed || is_option || is_value) {
            return fault(
                "default means optional already; its type is plain, without Option and Value",
            );
        }
        if self.write_only {
            return self.check_write_only(field);
        }
        if self.identity && !resource {
            return fault("only attributes of the resource itself can be its identity");
        }
        if self.required && (is_option || is_value) {
            return fault("a required attribute always has a value: take the plain type");
        }
        if self.computed && !is_value {
            return fault("a computed attribute may be unknown: its type is Value<..>");
        }
        if self.optional && !self.computed && !is_option {
            return fault("an optional attribute may be null: its type is Option<..>");
        }
        if (self.keep || self.not_null || self.prefix.is_some()) && !self.computed {
            return fault("keep, not_null and prefix are about computed attributes");
        }
        if self.replace && self.computed && !self.optional {
            return fault(
                "nobody writes this attribute, so it cannot make a replacement; see the plan hook",
            );
        }
        Ok(())
    }

    /// A write-only attribute is there while an operation runs, and null in every state.
    fn check_write_only(&self, field: &Field) -> Result<()> {
        let fault = |text: &str| Err(Error::new_spanned(field, text));
        if self.computed
            || self.default.is_some()
            || self.keep
            || self.not_null
            || self.prefix.is_some()
        {
            return fault("only the user writes a write-only attribute: required or optional");
        }
        if self.replace {
            return fault(
                "Terraform cannot tell whether a write-only attribute changed; put replace on \
                 the attribute with its version",
            );
        }
        if self.identity {
            return fault("a write-only attribute is never stored, so it is no identity");
        }
        if !self.is("Option") {
            return fault(
                "a write-only attribute is null but in create and update: its type is Option<..>",
            );
        }
        Ok(())
    }

    /// Is the field's type `Option<..>`, `Value<..>`?
    pub(crate) fn is(&self, wrapper: &str) -> bool {
        inner(&self.ty, wrapper).is_some()
    }

    /// The field's type without `Option` and `Value`.
    pub(crate) fn inner_type(&self) -> &Type {
        inner(&self.ty, "Option").or_else(|| inner(&self.ty, "Value")).unwrap_or(&self.ty)
    }
}

/// What is in a `Wrapper<..>`.
pub(crate) fn inner<'a>(ty: &'a Type, wrapper: &str) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == wrapper)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}
