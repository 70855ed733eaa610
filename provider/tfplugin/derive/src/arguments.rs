//! `#[derive(Arguments)]`: the parameters of a function.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Result, Type};

use crate::container::{check_name, description};
use crate::field::inner;

/// The implementation of `Arguments`.
pub(crate) fn arguments(input: &DeriveInput) -> Result<TokenStream> {
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        _ => return Err(Error::new_spanned(&input.ident, "only structs can be parameters")),
    };
    let fields = match fields {
        Fields::Named(fields) => fields.named.iter().map(Parameter::of).collect::<Result<_>>()?,
        Fields::Unit => Vec::new(),
        Fields::Unnamed(_) => return Err(Error::new_spanned(fields, "parameters need names")),
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "parameters cannot be generic"));
    }
    let (function, deprecated) = function(&input.attrs, &input.ident)?;
    let text = description(&input.attrs);
    if text.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "a function needs a doc comment: it is the description that users read",
        ));
    }
    if let Some((_, before)) = fields.split_last()
        && let Some(early) = before.iter().find(|parameter| parameter.variadic)
    {
        return Err(Error::new_spanned(&early.ident, "only the last parameter can be variadic"));
    }

    let name = &input.ident;
    let deprecated = deprecated.map_or_else(|| quote!(None), |reason| quote!(Some(#reason)));
    let (variadic, fixed): (Vec<_>, Vec<_>) =
        fields.iter().partition(|parameter| parameter.variadic);
    let count = fixed.len();
    let is_variadic = !variadic.is_empty();
    let parameters = fixed.iter().map(|parameter| parameter.schema());
    let more = variadic.first().map_or_else(
        || quote!(None),
        |parameter| {
            let schema = parameter.schema();
            quote!(Some(#schema))
        },
    );
    let reads = fields.iter().map(Parameter::read);
    let idents: Vec<_> = fields.iter().map(|parameter| &parameter.ident).collect();
    let summary = text.split("\n\n").next().unwrap_or_default();

    Ok(quote! {
        impl ::kubesmith_tfplugin::Arguments for #name {
            const NAME: &'static str = #function;

            fn signature() -> ::kubesmith_tfplugin::schema::Signature {
                use ::kubesmith_tfplugin::schema;
                schema::Signature {
                    summary: #summary.to_owned(),
                    description: #text.to_owned(),
                    parameters: ::std::vec![#(#parameters),*],
                    variadic: #more,
                    output: schema::Type::String,
                    deprecated: #deprecated,
                }
            }

            fn decode(
                arguments: &[::kubesmith_tfplugin::Dyn],
            ) -> ::kubesmith_tfplugin::Result<Self> {
                let mut call =
                    ::kubesmith_tfplugin::derive::Call::of(arguments, #count, #is_variadic)?;
                #(#reads)*
                if let (#(Some(#idents),)*) = (#(#idents,)*) {
                    Ok(Self { #(#idents),* })
                } else {
                    Err(call.into_faults())
                }
            }
        }
    })
}

/// What `#[tf(..)]` on the struct says: the function's name, and why it is deprecated.
fn function(attributes: &[Attribute], ident: &Ident) -> Result<(LitStr, Option<LitStr>)> {
    let (mut name, mut deprecated) = (None, None);
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("tf")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                let text: LitStr = meta.value()?.parse()?;
                check_name(&text.value(), &text)?;
                name = Some(text);
            } else if meta.path.is_ident("deprecated") {
                deprecated = Some(meta.value()?.parse()?);
            } else {
                return Err(meta.error("expected name or deprecated"));
            }
            Ok(())
        })?;
    }
    let name = name.ok_or_else(|| Error::new_spanned(ident, "say #[tf(name = \"..\")]"))?;
    Ok((name, deprecated))
}

struct Parameter {
    ident: Ident,
    name: String,
    /// The type of one argument.
    ty: Type,
    description: String,
    variadic: bool,
}

impl Parameter {
    fn of(field: &Field) -> Result<Self> {
        let ident = field.ident.clone();
        let ident = ident.ok_or_else(|| Error::new_spanned(field, "parameters need names"))?;
        let mut parameter = Self {
            name: ident.to_string().trim_start_matches("r#").to_owned(),
            ident,
            ty: field.ty.clone(),
            description: description(&field.attrs),
            variadic: false,
        };
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("tf")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("variadic") {
                    parameter.variadic = true;
                    Ok(())
                } else {
                    Err(meta.error("expected variadic"))
                }
            })?;
        }
        check_name(&parameter.name, field)?;
        if parameter.description.is_empty() {
            return Err(Error::new_spanned(
                field,
                "every parameter needs a doc comment: it is the description that users read",
            ));
        }
        if parameter.variadic {
            let item = inner(&field.ty, "Vec");
            parameter.ty = item
                .ok_or_else(|| Error::new_spanned(&field.ty, "variadic: the type is Vec<..>"))?
                .clone();
        }
        Ok(parameter)
    }

    /// The expression that makes it in the signature.
    fn schema(&self) -> TokenStream {
        let Self { name, ty, description, .. } = self;
        let unknowable = inner(ty, "Value").is_some();
        let nullable = unknowable || inner(ty, "Option").is_some();
        quote! {
            schema::Parameter {
                name: #name,
                kind: <#ty as ::kubesmith_tfplugin::AttributeType>::kind().as_type(),
                nullable: #nullable,
                unknowable: #unknowable,
                description: #description.to_owned(),
            }
        }
    }

    /// The statement that reads it from a call.
    fn read(&self) -> TokenStream {
        let Self { ident, name, ty, .. } = self;
        if self.variadic {
            quote!(let #ident = call.rest::<#ty>(#name);)
        } else {
            quote!(let #ident = call.next::<#ty>(#name);)
        }
    }
}
