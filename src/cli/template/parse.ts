/**
 * Go's text/template language as users of `--format` know it, turned into a tree. Positions are offsets into the
 * source: they end up in error messages (`template: :1:2: …`) in the way Go words them.
 */

/** A template that is not one, or that cannot be executed with this data; the message is worded as Go's. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError'
}

export type Expression =
  | { readonly kind: 'dot' }
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  /** `$x.A.B`; `$` alone is the data the template was given. */
  | {
      readonly kind: 'variable'
      readonly name: string
      readonly fields: readonly string[]
      readonly at: number
    }
  | { readonly kind: 'field'; readonly fields: readonly string[]; readonly at: number }
  /** `(pipeline).A.B` */
  | {
      readonly kind: 'nested'
      readonly pipeline: Pipeline
      readonly fields: readonly string[]
      readonly at: number
    }
  | { readonly kind: 'function'; readonly name: string; readonly at: number }

export interface Call {
  readonly target: Expression
  readonly arguments: readonly Expression[]
}

export interface Pipeline {
  /** `$a, $b := …` or `$a = …` */
  readonly variables: readonly string[]
  readonly declares: boolean
  readonly calls: readonly Call[]
}

export interface Branch<Kind> {
  readonly kind: Kind
  readonly pipeline: Pipeline
  readonly body: readonly Node[]
  readonly otherwise: readonly Node[]
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipeline: Pipeline }
  | Branch<'if'>
  | Branch<'with'>
  | Branch<'range'>
  | { readonly kind: 'break' | 'continue' }
  | {
      readonly kind: 'template'
      readonly name: string
      readonly pipeline: Pipeline | undefined
      readonly at: number
    }

export interface Template {
  readonly source: string
  readonly nodes: readonly Node[]
  readonly definitions: ReadonlyMap<string, readonly Node[]>
}

type Token =
  | { readonly type: 'text'; readonly text: string; readonly at: number }
  | { readonly type: 'open' | 'close'; readonly text: string; readonly at: number }
  | { readonly type: 'string' | 'number' | 'char'; readonly text: string; readonly at: number }
  /** `.Name`, directly behind something if `joined`. */
  | { readonly type: 'field'; readonly text: string; readonly at: number; readonly joined: boolean }
  | { readonly type: 'variable' | 'word' | 'dot' | 'mark'; readonly text: string; readonly at: number }

const actionTokens: readonly (readonly [Exclude<Token['type'], 'text' | 'open' | 'close'>, RegExp])[] = [
  ['string', /"(?:[^"\\\n]|\\.)*"|`[^`]*`/y],
  ['char', /'(?:[^'\\\n]|\\.)*'/y],
  ['number', /[-+]?(?:0[xX][0-9a-fA-F_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)/y],
  ['field', /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ['variable', /\$[\p{L}\p{N}_]*/uy],
  ['word', /[\p{L}_][\p{L}\p{N}_]*/uy],
  ['dot', /\./y],
  ['mark', /:=|[=|(),]/y],
]

function place(source: string, at: number): string {
  const before = source.slice(0, at)
  const line = before.split('\n').length
  return `template: :${line}`
}

function lex(source: string): Token[] {
  const tokens: Token[] = []
  let position = 0
  let trimNext = false
  while (position < source.length) {
    const open = source.indexOf('{{', position)
    const textEnd = open === -1 ? source.length : open
    let text = source.slice(position, textEnd)
    if (trimNext) text = text.trimStart()
    trimNext = false
    if (open === -1) {
      if (text !== '') tokens.push({ type: 'text', text, at: position })
      break
    }
    let cursor = open + 2
    if (/^-[ \t\r\n]/.test(source.slice(cursor, cursor + 2))) {
      text = text.trimEnd()
      cursor += 1
    }
    if (text !== '') tokens.push({ type: 'text', text, at: position })
    const comment = /[ \t\r\n]*\/\*[^]*?\*\/(?:[ \t\r\n]+-)?\}\}/y
    comment.lastIndex = cursor
    const commented = comment.exec(source)
    if (commented !== null) {
      position = cursor + commented[0].length
      trimNext = commented[0].endsWith('-}}')
      continue
    }
    tokens.push({ type: 'open', text: '{{', at: open })
    const end = lexAction(source, cursor, tokens)
    trimNext = end.trim
    position = end.position
  }
  return tokens
}

function lexAction(source: string, start: number, tokens: Token[]): { position: number; trim: boolean } {
  let cursor = start
  let depth = 0
  while (cursor < source.length) {
    const space = /[ \t\r\n]+/y
    space.lastIndex = cursor
    const gap = space.exec(source)?.[0].length ?? 0
    if (gap > 0 && source.startsWith('-}}', cursor + gap)) {
      if (depth > 0) throw new TemplateError(`${place(source, cursor)}: unclosed left paren`)
      tokens.push({ type: 'close', text: '}}', at: cursor + gap })
      return { position: cursor + gap + 3, trim: true }
    }
    cursor += gap
    if (source.startsWith('}}', cursor)) {
      if (depth > 0) throw new TemplateError(`${place(source, cursor)}: unclosed left paren`)
      tokens.push({ type: 'close', text: '}}', at: cursor })
      return { position: cursor + 2, trim: false }
    }
    const match = matchToken(source, cursor)
    if (match === undefined) {
      if (cursor >= source.length) break
      const character = source[cursor] ?? ''
      const point = (source.codePointAt(cursor) ?? 0).toString(16).toUpperCase().padStart(4, '0')
      if (character === '"') throw new TemplateError(`${place(source, cursor)}: unterminated quoted string`)
      throw new TemplateError(
        `${place(source, cursor)}: unexpected bad character U+${point} '${character}' in command`,
      )
    }
    const [type, text] = match
    if (text === '(') depth += 1
    if (text === ')') {
      depth -= 1
      if (depth < 0) throw new TemplateError(`${place(source, cursor)}: unexpected right paren`)
    }
    if (type === 'field') tokens.push({ type, text: text.slice(1), at: cursor, joined: gap === 0 })
    else tokens.push({ type, text, at: cursor })
    cursor += text.length
  }
  throw new TemplateError(`${place(source, start)}: unclosed action`)
}

function matchToken(
  source: string,
  cursor: number,
): readonly [Exclude<Token['type'], 'text' | 'open' | 'close'>, string] | undefined {
  for (const [type, pattern] of actionTokens) {
    pattern.lastIndex = cursor
    const text = pattern.exec(source)?.[0]
    if (text !== undefined) return [type, text]
  }
  return undefined
}

const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  a: '\u0007',
  b: '\b',
  f: '\f',
  v: '\v',
}

function unquote(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1)
  return text
    .slice(1, -1)
    .replace(
      /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))/g,
      (_, x?: string, u?: string, long?: string, octal?: string, plain?: string) => {
        const hex = x ?? u ?? long
        if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
        if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8))
        return escapes[plain ?? ''] ?? plain ?? ''
      },
    )
}

const ends = new Set(['end', 'else'])

/** `functions` are the names that may be called: an unknown one is an error here, as in Go. */
export function parseTemplate(source: string, functions: ReadonlySet<string>): Template {
  const tokens = lex(source)
  const definitions = new Map<string, readonly Node[]>()
  let index = 0
  let loops = 0

  const fail = (at: number, message: string): TemplateError =>
    new TemplateError(`${place(source, at)}: ${message}`)
  const peek = (): Token | undefined => tokens[index]
  const next = (): Token => {
    const token = tokens[index]
    if (token === undefined) throw fail(source.length, 'unexpected EOF')
    index += 1
    return token
  }
  const expect = (type: Token['type'], where: string): Token => {
    const token = next()
    if (token.type !== type) throw fail(token.at, `unexpected "${token.text}" in ${where}`)
    return token
  }

  const fieldChain = (): string[] => {
    const fields: string[] = []
    for (let token = peek(); token?.type === 'field' && token.joined; token = peek()) {
      fields.push(token.text)
      index += 1
    }
    return fields
  }

  /** Go counts a chain of fields from its second part. */
  const chainAt = (first: Token): number => {
    const second = peek()
    return second?.type === 'field' && second.joined ? second.at : first.at
  }

  const operand = (where: string): Expression => {
    const token = next()
    switch (token.type) {
      case 'field':
        return { kind: 'field', at: chainAt(token), fields: [token.text, ...fieldChain()] }
      case 'variable':
        return { kind: 'variable', name: token.text, at: chainAt(token), fields: fieldChain() }
      case 'dot':
        return { kind: 'dot' }
      case 'string':
        return { kind: 'literal', value: unquote(token.text) }
      case 'char':
        return { kind: 'literal', value: unquote(token.text).codePointAt(0) ?? 0 }
      case 'number':
        return { kind: 'literal', value: Number(token.text.replaceAll('_', '')) }
      case 'word':
        if (token.text === 'true' || token.text === 'false')
          return { kind: 'literal', value: token.text === 'true' }
        if (token.text === 'nil') return { kind: 'literal', value: null }
        if (!functions.has(token.text)) throw fail(token.at, `function "${token.text}" not defined`)
        return { kind: 'function', name: token.text, at: token.at }
      case 'mark':
        if (token.text === '(') {
          const inner = pipeline('parenthesized pipeline')
          const close = next()
          if (close.text !== ')') throw fail(close.at, `unexpected "${close.text}" in parenthesized pipeline`)
          return { kind: 'nested', pipeline: inner, fields: fieldChain(), at: token.at }
        }
        break
      case 'text':
      case 'open':
      case 'close':
        break
    }
    if (token.type === 'close') throw fail(token.at, `missing value for ${where}`)
    throw fail(token.at, `unexpected "${token.text}" in ${where}`)
  }

  const pipeline = (where: string): Pipeline => {
    const variables: string[] = []
    let declares = false
    const start = index
    // `$a :=`, `$a =`, `$a, $b :=`; anything else was no declaration and is read again as a value.
    for (let token = peek(); token?.type === 'variable'; token = peek()) {
      variables.push(token.text)
      index += 1
      const mark = peek()
      if (mark?.type === 'mark' && (mark.text === ':=' || mark.text === '=')) {
        declares = mark.text === ':='
        index += 1
        break
      }
      if (where === 'range' && mark?.type === 'mark' && mark.text === ',' && variables.length === 1) {
        index += 1
        continue
      }
      variables.length = 0
      index = start
      break
    }
    const calls: Call[] = []
    for (;;) {
      const target = operand(where)
      const given: Expression[] = []
      for (let token = peek(); token !== undefined; token = peek()) {
        if (token.type === 'close' || (token.type === 'mark' && (token.text === ')' || token.text === '|')))
          break
        given.push(operand('operand'))
      }
      if (given.length > 0 && (target.kind === 'literal' || target.kind === 'dot')) {
        throw fail(peek()?.at ?? 0, `can't give argument to non-function`)
      }
      calls.push({ target, arguments: given })
      const token = peek()
      if (token?.type === 'mark' && token.text === '|') {
        index += 1
        continue
      }
      return { variables, declares, calls }
    }
  }

  /** Reads nodes up to the `end` or `else` that closes this list (its keyword is answered) or the end of the source. */
  const list = (nested: boolean): { nodes: Node[]; closer: string } => {
    const nodes: Node[] = []
    for (;;) {
      const token = peek()
      if (token === undefined) {
        if (nested) throw fail(source.length, 'unexpected EOF')
        return { nodes, closer: '' }
      }
      index += 1
      if (token.type === 'text') {
        nodes.push({ kind: 'text', text: token.text })
        continue
      }
      const word = peek()
      if (word?.type === 'word' && ends.has(word.text)) {
        if (!nested) throw fail(word.at, `unexpected {{${word.text}}}`)
        index += 1
        return { nodes, closer: word.text }
      }
      const node = action(word)
      if (node !== undefined) nodes.push(node)
    }
  }

  const control = (kind: 'if' | 'with' | 'range'): Node => {
    const condition = pipeline(kind)
    expect('close', kind)
    if (kind === 'range') loops += 1
    const body = list(true)
    if (kind === 'range') loops -= 1
    if (body.closer === 'end') {
      expect('close', 'end')
      return { kind, pipeline: condition, body: body.nodes, otherwise: [] }
    }
    const word = peek()
    // `else if` and `else with` nest a new action that shares our `end`.
    if (word?.type === 'word' && (word.text === 'if' || word.text === 'with')) {
      index += 1
      return { kind, pipeline: condition, body: body.nodes, otherwise: [control(word.text)] }
    }
    expect('close', 'else')
    const otherwise = list(true)
    if (otherwise.closer !== 'end') throw fail(word?.at ?? 0, 'expected end; found {{else}}')
    expect('close', 'end')
    return { kind, pipeline: condition, body: body.nodes, otherwise: otherwise.nodes }
  }

  const named = (where: string): string => unquote(expect('string', where).text)

  const definition = (name: string): void => {
    expect('close', 'define')
    const body = list(true)
    if (body.closer !== 'end') throw fail(index, 'unexpected {{else}} in define clause')
    expect('close', 'end')
    definitions.set(name, body.nodes)
  }

  const action = (word: Token | undefined): Node | undefined => {
    if (word?.type === 'word') {
      switch (word.text) {
        case 'if':
        case 'with':
        case 'range':
          index += 1
          return control(word.text)
        case 'break':
        case 'continue':
          index += 1
          if (loops === 0) throw fail(word.at, `{{${word.text}}} outside {{range}}`)
          expect('close', word.text)
          return { kind: word.text }
        case 'define':
          index += 1
          definition(named('define clause'))
          return undefined
        case 'template':
        case 'block': {
          index += 1
          const name = named(`${word.text} clause`)
          const given = peek()?.type === 'close' ? undefined : pipeline(`${word.text} clause`)
          if (word.text === 'block') definition(name)
          else expect('close', 'template clause')
          return { kind: 'template', name, pipeline: given, at: word.at }
        }
      }
    }
    const value = pipeline('command')
    expect('close', 'command')
    return { kind: 'print', pipeline: value }
  }

  const { nodes } = list(false)
  return { source, nodes, definitions }
}
