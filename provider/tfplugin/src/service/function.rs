//! The calls about functions.

use super::{Inner, find};
use crate::diag::{Diags, Result, Severity};
use crate::dynamic::{Dyn, UNKNOWN};
use crate::function::AnyFunction;
use crate::provider::Provider;
use crate::service::supervise::guard;
use crate::service::{decode, encode};
use crate::wire::{self, tfplugin6 as tf};

impl<P: Provider> Inner<P> {
    #[expect(clippy::unused_async, reason = "all calls have one shape")]
    pub(super) async fn get_functions(
        &self,
        _request: tf::get_functions::Request,
    ) -> Result<tf::get_functions::Response> {
        let functions = self.functions.values();
        let functions = functions.map(|one| (one.name.to_owned(), wire::function(&one.signature)));
        Ok(tf::get_functions::Response { functions: functions.collect(), ..Default::default() })
    }

    /// The one call whose answer has no diagnostics.
    pub(super) async fn call_function(
        &self,
        request: tf::call_function::Request,
    ) -> tf::call_function::Response {
        let function = match find(&self.functions, &request.name, "function") {
            Ok(function) => function,
            Err(faults) => return failed(None, &faults),
        };
        let result = guard("call the function", async { call(function, &request.arguments) });
        match result.await {
            Ok(value) => tf::call_function::Response {
                result: encode(&value, &function.signature.output),
                error: None,
            },
            Err(faults) => failed(Some(function), &faults),
        }
    }
}

fn call(function: &AnyFunction, sent: &[tf::DynamicValue]) -> Result<Dyn> {
    let signature = &function.signature;
    let parameters = signature.parameters.iter();
    let parameters = parameters.chain(signature.variadic.iter().cycle());
    let mut arguments = Vec::with_capacity(sent.len());
    for (parameter, sent) in parameters.zip(sent) {
        let argument = decode(Some(sent), &parameter.kind)?;
        if !parameter.unknowable && !argument.is_wholly_known() {
            return Ok(UNKNOWN);
        }
        arguments.push(argument);
    }
    (function.call)(&arguments)
}

/// Terraform shows one text, and underlines the argument.
pub(super) fn failed(
    function: Option<&AnyFunction>,
    faults: &Diags,
) -> tf::call_function::Response {
    let errors: Vec<_> = faults.iter().filter(|diag| diag.severity == Severity::Error).collect();
    let texts = errors.iter().map(|diag| match (diag.summary.as_str(), diag.detail.as_str()) {
        (summary, "") => format!("{summary}."),
        ("", detail) => detail.to_owned(),
        (summary, detail) => format!("{summary}: {detail}"),
    });
    let place = errors.iter().find_map(|diag| function?.argument(diag.path.as_ref()?));
    tf::call_function::Response {
        result: None,
        error: Some(tf::FunctionError {
            text: texts.collect::<Vec<_>>().join("\n"),
            function_argument: place.and_then(|place| place.try_into().ok()),
        }),
    }
}
