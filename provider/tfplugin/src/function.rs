//! Functions: `provider::NAME::FUNCTION(…)`.

use crate::attribute::AttributeType;
use crate::diag::{Diag, Diags, Result};
use crate::dynamic::Dyn;
use crate::path::{Path, Step};
use crate::schema::Signature;

/// A pure function. Its struct is its parameters.
///
/// ```
/// use kubesmith_tfplugin::{Arguments, Diag, Function, Result};
///
/// /// Joins words into a label.
/// #[derive(Arguments)]
/// #[tf(name = "label")]
/// struct Label {
///     /// Goes between the words.
///     separator: String,
///     /// The words.
///     #[tf(variadic)]
///     words: Vec<String>,
/// }
///
/// impl Function for Label {
///     type Output = String;
///
///     fn call(self) -> Result<String> {
///         if let Some(place) = self.words.iter().position(String::is_empty) {
///             let diag = Diag::error("A word is empty");
///             return Err(diag.at(format!("words[{place}]").as_str()).into());
///         }
///         Ok(self.words.join(&self.separator))
///     }
/// }
/// ```
///
/// It is the same every time it is called with the same arguments: Terraform calls it in plan
/// and in apply, also while the provider is not configured. The path of an error names the
/// argument.
pub trait Function: Arguments {
    /// The result. `Value` where it may be unknown, `Option` where it may be null.
    type Output: AttributeType;

    /// Computes the result.
    fn call(self) -> Result<Self::Output>;
}

/// The parameters of a function. Implemented by `#[derive(Arguments)]` alone.
pub trait Arguments: Sized + Send + Sync + 'static {
    /// The function's name in HCL.
    const NAME: &'static str;

    /// The names and types of the parameters.
    fn signature() -> Signature;

    /// Reads the arguments of a call; those of a variadic parameter are at the end.
    fn decode(arguments: &[Dyn]) -> Result<Self>;
}

/// A function without its types.
pub(crate) struct AnyFunction {
    pub(crate) name: &'static str,
    pub(crate) signature: Signature,
    pub(crate) call: fn(&[Dyn]) -> Result<Dyn>,
}

impl AnyFunction {
    pub(crate) fn of<F: Function>() -> Self {
        Self {
            name: F::NAME,
            signature: Signature { output: F::Output::kind().as_type(), ..F::signature() },
            call: |arguments| Ok(F::decode(arguments)?.call()?.encode()),
        }
    }

    /// The number of the argument that a path is about.
    pub(crate) fn argument(&self, path: &Path) -> Option<usize> {
        let (first, rest) = path.steps().split_first()?;
        let Step::Attribute(name) = first else { return None };
        let fixed = &self.signature.parameters;
        if let Some(place) = fixed.iter().position(|parameter| parameter.name == name) {
            return Some(place);
        }
        self.signature.variadic.as_ref().filter(|parameter| parameter.name == name)?;
        match rest.first() {
            Some(Step::Index(index)) => Some(fixed.len() + index),
            _ => Some(fixed.len()),
        }
    }
}

/// Reads the arguments of a call one after the other and gathers every fault.
#[doc(hidden)]
#[derive(Debug)]
pub struct Call<'a> {
    arguments: &'a [Dyn],
    faults: Diags,
}

impl<'a> Call<'a> {
    /// Starts to read a call with so many fixed parameters.
    pub fn of(arguments: &'a [Dyn], parameters: usize, is_variadic: bool) -> Result<Self> {
        if arguments.len() < parameters || (arguments.len() > parameters && !is_variadic) {
            return Err(Diag::error("Wrong number of arguments")
                .detail(format!("There are {}, and {parameters} parameters.", arguments.len()))
                .into());
        }
        Ok(Self { arguments, faults: Diags::none() })
    }

    /// The next argument.
    pub fn next<T: AttributeType>(&mut self, name: &str) -> Option<T> {
        let (first, rest) = self.arguments.split_first()?;
        self.arguments = rest;
        self.keep(T::decode(first, &Path::root().attribute(name)))
    }

    /// The arguments that are left.
    pub fn rest<T: AttributeType>(&mut self, name: &str) -> Option<Vec<T>> {
        let path = Path::root().attribute(name);
        let rest = std::mem::take(&mut self.arguments).iter().enumerate();
        let read = |(index, value)| self.keep(T::decode(value, &path.index(index)));
        // Every one is read, so that every fault is found.
        rest.map(read).collect::<Vec<_>>().into_iter().collect()
    }

    /// What was wrong.
    pub fn into_faults(self) -> Diags {
        self.faults
    }

    fn keep<T>(&mut self, read: Result<T>) -> Option<T> {
        read.map_err(|faults| self.faults.extend(faults)).ok()
    }
}
