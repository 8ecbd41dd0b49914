import { executeTemplate, type EvaluateOptions, type TemplateFunction } from './evaluate.ts'
import { templateFunctions } from './functions.ts'
import { parseTemplate } from './parse.ts'

export { TemplateError } from './parse.ts'

const names: ReadonlySet<string> = new Set(templateFunctions.keys())

/** The functions as a header line sees them: those that would change a column's title leave it as it is. */
const headerFunctions: ReadonlyMap<string, TemplateFunction> = new Map([
  ...templateFunctions,
  ...['json', 'title', 'lower', 'upper', 'truncate', 'split', 'join', 'pad'].map(
    name => [name, (value: unknown) => value] as const,
  ),
])

export interface CompiledTemplate {
  /** Renders one object. */
  readonly render: (data: unknown) => string
  /** Renders the line of titles: a map from field to title. */
  readonly header: (titles: Readonly<Record<string, unknown>>) => string
}

/** Parses once for many rows; throws TemplateError if the source is no template. */
export function compileTemplate(
  source: string,
  options: Omit<EvaluateOptions, 'functions'>,
): CompiledTemplate {
  const parsed = parseTemplate(source, names)
  return {
    render: data => executeTemplate(parsed, data, { ...options, functions: templateFunctions }),
    header: titles => executeTemplate(parsed, titles, { missing: 'empty', functions: headerFunctions }),
  }
}
