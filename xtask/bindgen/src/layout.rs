//! How a module lies, so that brotli packs it well: functions that are alike stand side by side, and the
//! locals of a function that are used most have the least numbers.

use std::cmp::Reverse;
use std::collections::HashMap;

use wasm_encoder::reencode::{Error, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{CodeSection, Function, FunctionSection, Instruction, Module};
use wasmparser::{
    CodeSectionReader, FunctionBody, FunctionSectionReader, Operator, Parser, Payload, TypeRef,
    ValType,
};

/// Why a module cannot be laid out.
pub(crate) type Problem = Error<std::convert::Infallible>;

/// The module with the same functions in another order, which does the same.
pub(crate) fn lay_out(module: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut laid_out = Module::new();
    Layout::of(module)?.parse_core_module(&mut laid_out, Parser::new(0), module)?;
    Ok(laid_out.finish())
}

/// Where functions and locals go.
struct Layout {
    /// How many parameters each type of a function has.
    parameters: Vec<u32>,
    /// How many functions are imported; they come first and stay where they are.
    imported: u32,
    /// The types of our functions, as they were.
    types: Vec<u32>,
    /// Our functions as they were, in the order in which they will stand.
    order: Vec<usize>,
    /// Where each of our functions will stand.
    places: Vec<u32>,
    /// The numbers of the locals of the function at hand.
    locals: Vec<u32>,
}

impl Layout {
    fn of(module: &[u8]) -> Result<Self, Problem> {
        let (mut parameters, mut imported, mut types, mut bodies) = (vec![], 0, vec![], vec![]);
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::TypeSection(section) => {
                    for function in section.into_iter_err_on_gc_types() {
                        parameters.push(function?.params().len() as u32);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(section) => {
                    types = section.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes()),
                _ => {}
            }
        }
        let mut order: Vec<usize> = (0..bodies.len()).collect();
        order.sort_by_key(|&function| (types[function], bodies[function]));
        let mut places = vec![0; order.len()];
        for (place, &function) in (0..).zip(&order) {
            places[function] = place;
        }
        Ok(Self { parameters, imported, types, order, places, locals: vec![] })
    }

    /// Numbers the locals of a function anew, parameters aside, and leaves out those without use.
    fn number_locals(
        &mut self,
        function: usize,
        body: &FunctionBody<'_>,
    ) -> Result<Function, Problem> {
        let parameters = self.parameters[self.types[function] as usize];
        let mut types: Vec<ValType> = vec![];
        for group in body.get_locals_reader()? {
            let (count, of) = group?;
            types.resize(types.len() + count as usize, of);
        }
        let mut kinds = types.clone();
        kinds.dedup();
        let mut uses = vec![0; types.len()];
        let mut used = vec![];
        for operator in body.get_operators_reader()? {
            if let Some(local) = local(&operator?).and_then(|local| local.checked_sub(parameters)) {
                uses[local as usize] += 1;
                if uses[local as usize] == 1 {
                    used.push(local as usize);
                }
            }
        }
        let kind: HashMap<ValType, usize> = kinds.into_iter().zip(0..).collect();
        // A stable sort: of two that are used as often, the first used comes first.
        used.sort_by_key(|&local| (kind[&types[local]], Reverse(uses[local])));
        self.locals = (0..parameters + types.len() as u32).collect();
        for (number, &local) in (parameters..).zip(&used) {
            self.locals[parameters as usize + local] = number;
        }
        let types = used.into_iter().map(|local| RoundtripReencoder.val_type(types[local]));
        Ok(Function::new_with_locals_types(types.collect::<Result<Vec<_>, _>>()?))
    }
}

/// The local that an instruction names.
fn local(operator: &Operator<'_>) -> Option<u32> {
    match *operator {
        Operator::LocalGet { local_index }
        | Operator::LocalSet { local_index }
        | Operator::LocalTee { local_index } => Some(local_index),
        _ => None,
    }
}

impl Reencode for Layout {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Problem> {
        let own = function.checked_sub(self.imported);
        Ok(own.map_or(function, |own| self.imported + self.places[own as usize]))
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        _: FunctionSectionReader<'_>,
    ) -> Result<(), Problem> {
        for &function in &self.order {
            functions.function(self.types[function]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Problem> {
        let bodies: Vec<FunctionBody<'_>> = section.into_iter().collect::<Result<_, _>>()?;
        for function in self.order.clone() {
            let mut laid_out = self.number_locals(function, &bodies[function])?;
            let mut reader = bodies[function].get_operators_reader()?;
            while !reader.eof() {
                laid_out.instruction(&self.parse_instruction(&mut reader)?);
            }
            code.function(&laid_out);
        }
        Ok(())
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Problem> {
        Ok(match operator {
            Operator::LocalGet { local_index } => {
                Instruction::LocalGet(self.locals[local_index as usize])
            }
            Operator::LocalSet { local_index } => {
                Instruction::LocalSet(self.locals[local_index as usize])
            }
            Operator::LocalTee { local_index } => {
                Instruction::LocalTee(self.locals[local_index as usize])
            }
            other => utils::instruction(self, other)?,
        })
    }
}
