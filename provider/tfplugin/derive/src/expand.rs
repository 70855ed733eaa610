//! Writes the implementations.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Expr, ExprLit, Fields, Lit, Result};

use crate::container::{Container, OPERATIONS, description};
use crate::field::FieldModel;

/// The implementations of `Model` and what belongs to it.
pub(crate) fn model(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "only structs can be models"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "a model's fields need names"));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "a model cannot be generic"));
    }
    let container = Container::of(input)?;
    let text = description(&input.attrs);
    if text.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "a model needs a doc comment: it is the description that users read",
        ));
    }
    let fields = fields
        .named
        .iter()
        .map(|field| FieldModel::of(field, &container))
        .collect::<Result<Vec<_>>>()?;

    let name = &input.ident;
    let idents: Vec<_> = fields.iter().map(|field| &field.ident).collect();
    let names: Vec<_> = fields.iter().map(|field| &field.name).collect();
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let attributes = fields.iter().map(attribute);
    let version = container.version.as_ref().map_or_else(|| quote!(0), |version| quote!(#version));
    let identity_version =
        container.identity_version.as_ref().map_or_else(|| quote!(0), |version| quote!(#version));
    let timeouts = container.timeouts.as_ref().map_or_else(
        || quote!(None),
        |timeouts| {
            let limits = OPERATIONS.map(|operation| {
                let ident = syn::Ident::new(operation, name.span());
                let limit = timeouts.seconds.iter().find(|(named, _)| named == operation);
                let limit = limit.map_or_else(
                    || quote!(None),
                    |(_, seconds)| quote!(Some(::std::time::Duration::new(#seconds, 0))),
                );
                quote!(#ident: #limit)
            });
            quote!(Some(schema::Timeouts { #(#limits),* }))
        },
    );
    let resource = container.type_name.iter().map(|type_name| {
        quote! {
            impl ::kubesmith_tfplugin::ResourceModel for #name {
                const TYPE_NAME: &'static str = #type_name;
            }
        }
    });

    Ok(quote! {
        impl ::kubesmith_tfplugin::Model for #name {
            fn schema() -> ::kubesmith_tfplugin::schema::Schema {
                use ::kubesmith_tfplugin::schema;
                schema::Schema {
                    description: #text.to_owned(),
                    attributes: ::std::vec![#(#attributes),*],
                    version: #version,
                    identity_version: #identity_version,
                    timeouts: #timeouts,
                }
            }

            fn decode(
                value: &::kubesmith_tfplugin::Dyn,
                path: &::kubesmith_tfplugin::Path,
            ) -> ::kubesmith_tfplugin::Result<Self> {
                let mut fields = ::kubesmith_tfplugin::derive::Fields::of(value, path)?;
                #(let #idents = fields.read::<#types>(#names);)*
                if let (#(Some(#idents),)*) = (#(#idents,)*) {
                    Ok(Self { #(#idents),* })
                } else {
                    Err(fields.into_faults())
                }
            }

            fn encode(&self) -> ::kubesmith_tfplugin::Dyn {
                ::kubesmith_tfplugin::Dyn::object([
                    #((#names, ::kubesmith_tfplugin::AttributeType::encode(&self.#idents)),)*
                ])
            }
        }

        impl ::kubesmith_tfplugin::AttributeType for #name {
            fn kind() -> ::kubesmith_tfplugin::schema::Kind {
                ::kubesmith_tfplugin::schema::Kind::Nested(
                    ::kubesmith_tfplugin::schema::Nesting::Single,
                    <Self as ::kubesmith_tfplugin::Model>::schema(),
                )
            }

            fn decode(
                value: &::kubesmith_tfplugin::Dyn,
                path: &::kubesmith_tfplugin::Path,
            ) -> ::kubesmith_tfplugin::Result<Self> {
                <Self as ::kubesmith_tfplugin::Model>::decode(value, path)
            }

            fn encode(&self) -> ::kubesmith_tfplugin::Dyn {
                <Self as ::kubesmith_tfplugin::Model>::encode(self)
            }
        }

        #(#resource)*
    })
}

/// The expression that makes one attribute of the schema.
fn attribute(field: &FieldModel) -> TokenStream {
    let FieldModel { name, ty, description, required, replace, keep, not_null, .. } = field;
    let optional = field.optional || field.default.is_some();
    let computed = field.computed || field.default.is_some();
    let mut settings = Vec::new();
    if field.sensitive {
        settings.push(quote!(attribute.sensitive = true;));
    }
    if let Some(prefix) = &field.prefix {
        settings.push(quote!(attribute.prefix = Some(#prefix);));
    }
    if field.write_only {
        settings.push(quote!(attribute.write_only = true;));
    }
    if field.identity {
        settings.push(quote!(attribute.identity = true;));
    }
    if let Some(reason) = &field.deprecated {
        settings.push(quote!(attribute.deprecated = Some(#reason);));
    }
    if let Some(default) = &field.default {
        // A string literal is what the user would have written, whatever the type makes of it.
        let default = if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = default {
            quote!(::kubesmith_tfplugin::Dyn::from(#text))
        } else {
            quote!({
                let default: #ty = #default;
                ::kubesmith_tfplugin::AttributeType::encode(&default)
            })
        };
        settings.push(quote!(attribute.default = Some(|| #default);));
    }
    if let Some(validate) = &field.validate {
        let inner = field.inner_type();
        settings.push(quote! {
            attribute.validate = Some(|value, path, diags| {
                ::kubesmith_tfplugin::derive::validate_with::<#inner, _>(value, path, diags, #validate);
            });
        });
    }
    quote!({
        let mut attribute = schema::Attribute::of::<#ty>(#name, #description);
        attribute.required = #required;
        attribute.optional = #optional;
        attribute.computed = #computed;
        attribute.replace = #replace;
        attribute.keep = #keep;
        attribute.not_null = #not_null;
        #(#settings)*
        attribute
    })
}
