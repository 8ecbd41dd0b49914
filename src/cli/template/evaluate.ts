/**
 * Executes a parsed template on plain data (JSON values, and functions as methods with arguments). Values print the way
 * Go's fmt prints them: maps as `map[a:1 b:2]` with sorted keys, lists as `[1 2]`, nothing as `<no value>`.
 */
import {
  TemplateError,
  type Branch,
  type Expression,
  type Node,
  type Pipeline,
  type Template,
} from './parse.ts'

export type TemplateFunction = (...values: readonly unknown[]) => unknown

export interface EvaluateOptions {
  readonly functions: ReadonlyMap<string, TemplateFunction>
  /** What an unknown field does: `error` is docker's inspect, `empty` prints `<no value>`. */
  readonly missing: 'error' | 'empty'
  /** Go type that an unknown field is blamed on; absent = the data is a map. */
  readonly typeName?: string
}

/** False, zero, empty and absent are false; everything else is true. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (isObject(value)) return Object.keys(value).length > 0
  return Boolean(value)
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function sortedKeys(value: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(value).sort()
}

/** As fmt.Print writes it. */
export function show(value: unknown, outermost = true): string {
  if (value === undefined || value === null) return outermost ? '<no value>' : '<nil>'
  if (Array.isArray(value)) return `[${value.map(item => show(item, false)).join(' ')}]`
  if (isObject(value)) {
    return `map[${sortedKeys(value)
      .map(key => `${key}:${show(value[key], false)}`)
      .join(' ')}]`
  }
  return typeof value === 'string' ? value : JSON.stringify(value)
}

interface Scope {
  readonly dot: unknown
  readonly variables: readonly { readonly name: string; value: unknown }[]
}

type Outcome = 'on' | 'break' | 'continue'

/** Depth at which templates that call each other are stopped. */
const deepest = 100

export function executeTemplate(template: Template, data: unknown, options: EvaluateOptions): string {
  const output: string[] = []

  const fail = (at: number, name: string, message: string): TemplateError => {
    const lineStart = template.source.lastIndexOf('\n', at - 1) + 1
    const line = template.source.slice(0, at).split('\n').length
    const column = Buffer.byteLength(template.source.slice(lineStart, at))
    return new TemplateError(`template: :${line}:${column}: executing "" at <${name}>: ${message}`)
  }

  /** The key itself, else one that differs by case only: `.ID` finds `Id`, as it does in docker's typed data. */
  const lookup = (value: unknown, field: string, at: number, name: string): unknown => {
    if (value === undefined || value === null) {
      if (options.missing === 'empty') return undefined
      throw fail(at, name, `nil data; no entry for key "${field}"`)
    }
    if (!isObject(value)) {
      const type = Array.isArray(value)
        ? '[]interface {}'
        : typeof value === 'boolean'
          ? 'bool'
          : typeof value
      throw fail(
        at,
        name,
        `can't evaluate field ${field} in type ${type === 'number' ? 'json.Number' : type}`,
      )
    }
    if (Object.hasOwn(value, field)) return value[field]
    const folded = field.toLowerCase()
    const key = Object.keys(value).find(candidate => candidate.toLowerCase() === folded)
    if (key !== undefined) return value[key]
    if (options.typeName !== undefined && value === data) {
      throw fail(at, name, `can't evaluate field ${field} in type ${options.typeName}`)
    }
    if (options.missing === 'error') throw fail(at, name, `map has no entry for key "${field}"`)
    return undefined
  }

  const fieldsOf = (
    start: unknown,
    fields: readonly string[],
    at: number,
    name: string,
    given: readonly unknown[],
  ): unknown => {
    let value = start
    for (const [index, field] of fields.entries()) {
      const found = lookup(value, field, at, name)
      const last = index === fields.length - 1
      if (typeof found === 'function') value = (found as TemplateFunction)(...(last ? given : []))
      else if (last && given.length > 0) {
        throw fail(at, name, `${field} is not a method but has arguments`)
      } else value = found
    }
    return value
  }

  const evaluate = (expression: Expression, scope: Scope, given: readonly unknown[] = []): unknown => {
    switch (expression.kind) {
      case 'dot':
        return scope.dot
      case 'literal':
        return expression.value
      case 'variable': {
        const bound = scope.variables.findLast(variable => variable.name === expression.name)
        if (bound === undefined)
          throw fail(expression.at, expression.name, `undefined variable "${expression.name}"`)
        return fieldsOf(
          bound.value,
          expression.fields,
          expression.at,
          [expression.name, ...expression.fields].join('.'),
          given,
        )
      }
      case 'field':
        return fieldsOf(scope.dot, expression.fields, expression.at, `.${expression.fields.join('.')}`, given)
      case 'nested':
        return fieldsOf(
          pipe(expression.pipeline, scope).value,
          expression.fields,
          expression.at,
          `(…).${expression.fields.join('.')}`,
          given,
        )
      case 'function': {
        const callee = options.functions.get(expression.name)
        try {
          return callee?.(...given)
        } catch (error) {
          if (error instanceof TemplateError) throw error
          const message = error instanceof Error ? error.message : String(error)
          throw fail(expression.at, expression.name, `error calling ${expression.name}: ${message}`)
        }
      }
    }
  }

  /** `and` and `or` stop at the argument that decides; everything else wants all its arguments first. */
  const lazily = (
    name: string,
    given: readonly Expression[],
    piped: readonly unknown[],
    scope: Scope,
  ): unknown => {
    let value: unknown
    for (const item of [...given.map(one => () => evaluate(one, scope)), ...piped.map(one => () => one)]) {
      value = item()
      if (isTrue(value) === (name === 'or')) return value
    }
    return value
  }

  const pipe = (pipeline: Pipeline, scope: Scope): { readonly value: unknown; readonly scope: Scope } => {
    let piped: readonly unknown[] = []
    for (const call of pipeline.calls) {
      const { target } = call
      const value =
        target.kind === 'function' && (target.name === 'and' || target.name === 'or')
          ? lazily(target.name, call.arguments, piped, scope)
          : evaluate(target, scope, [...call.arguments.map(one => evaluate(one, scope)), ...piped])
      piped = [value]
    }
    const value = piped[0]
    const [name] = pipeline.variables
    if (name === undefined || pipeline.variables.length > 1) return { value, scope }
    if (pipeline.declares)
      return { value, scope: { ...scope, variables: [...scope.variables, { name, value }] } }
    const bound = scope.variables.findLast(variable => variable.name === name)
    if (bound === undefined) throw new TemplateError(`template: :1: undefined variable "${name}"`)
    bound.value = value
    return { value, scope }
  }

  const entriesOf = (value: unknown): readonly (readonly [unknown, unknown])[] => {
    if (value === undefined || value === null) return []
    if (Array.isArray(value)) return [...value.entries()]
    if (isObject(value)) return sortedKeys(value).map(key => [key, value[key]])
    if (typeof value === 'number') return Array.from({ length: value }, (_, index) => [index, index])
    throw new TemplateError(`template: :1: executing "" at <range>: range can't iterate over ${show(value)}`)
  }

  const range = (node: Branch<'range'>, scope: Scope, depth: number): void => {
    const entries = entriesOf(pipe({ ...node.pipeline, variables: [] }, scope).value)
    if (entries.length === 0) {
      run(node.otherwise, scope, depth)
      return
    }
    const [first, second] = node.pipeline.variables
    for (const [key, value] of entries) {
      const bound =
        first === undefined
          ? []
          : second === undefined
            ? [{ name: first, value }]
            : [
                { name: first, value: key },
                { name: second, value },
              ]
      if (run(node.body, { dot: value, variables: [...scope.variables, ...bound] }, depth) === 'break') break
    }
  }

  const run = (nodes: readonly Node[], outer: Scope, depth: number): Outcome => {
    let scope = outer
    for (const node of nodes) {
      switch (node.kind) {
        case 'text':
          output.push(node.text)
          break
        case 'print': {
          const result = pipe(node.pipeline, scope)
          scope = result.scope
          if (node.pipeline.variables.length === 0) output.push(show(result.value))
          break
        }
        case 'if':
        case 'with': {
          const result = pipe(node.pipeline, scope)
          const holds = isTrue(result.value)
          const inner = holds && node.kind === 'with' ? { ...result.scope, dot: result.value } : result.scope
          const outcome = run(holds ? node.body : node.otherwise, inner, depth)
          if (outcome !== 'on') return outcome
          break
        }
        case 'range':
          range(node, scope, depth)
          break
        case 'break':
        case 'continue':
          return node.kind
        case 'template': {
          const body = template.definitions.get(node.name)
          if (body === undefined) {
            throw fail(node.at, `{{template "${node.name}"}}`, `template "${node.name}" not defined`)
          }
          if (depth > deepest) throw fail(node.at, node.name, 'exceeded maximum template depth')
          const dot = node.pipeline === undefined ? undefined : pipe(node.pipeline, scope).value
          run(body, { dot, variables: [{ name: '$', value: dot }] }, depth + 1)
          break
        }
      }
    }
    return 'on'
  }

  run(template.nodes, { dot: data, variables: [{ name: '$', value: data }] }, 0)
  return output.join('')
}
