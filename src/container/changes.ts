/** Dockerfile instructions that change an image's configuration (`docker import --change`). Pure. */

import { posix } from 'node:path'
import { fault } from '../base/index.ts'
import type { ImageConfig } from './types.ts'

/** Applies instructions in order. Throws `invalidParameter` in Docker's words. */
export function applyChanges(config: ImageConfig, changes: readonly string[]): ImageConfig {
  return changes
    .flatMap(text => text.split('\n'))
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#'))
    .reduce(applyChange, config)
}

function applyChange(config: ImageConfig, line: string): ImageConfig {
  const [instruction = ''] = line.split(/\s/, 1)
  const rest = line.slice(instruction.length).trim()
  const name = instruction.toUpperCase()
  if (rest === '') throw fault('invalidParameter', `${name} requires at least one argument`)
  switch (name) {
    case 'CMD':
      return { ...config, Cmd: command(rest) }
    case 'ENTRYPOINT':
      return { ...config, Entrypoint: command(rest) }
    case 'ENV': {
      const pairs = keyValues(name, rest)
      const names = new Set(pairs.map(([key]) => key))
      const kept = (config.Env ?? []).filter(one => !names.has(one.split('=', 1)[0] ?? ''))
      return { ...config, Env: [...kept, ...pairs.map(([key, value]) => `${key}=${value}`)] }
    }
    case 'LABEL':
      return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(keyValues(name, rest)) } }
    case 'EXPOSE':
      return { ...config, ExposedPorts: { ...config.ExposedPorts, ...flags(words(rest).flatMap(ports)) } }
    case 'VOLUME':
      return { ...config, Volumes: { ...config.Volumes, ...flags(jsonList(rest) ?? words(rest)) } }
    case 'WORKDIR':
      return { ...config, WorkingDir: posix.resolve(config.WorkingDir || '/', rest) }
    case 'USER':
      return { ...config, User: rest }
    case 'STOPSIGNAL':
      return { ...config, StopSignal: rest }
    case 'ONBUILD':
      return { ...config, OnBuild: [...(config.OnBuild ?? []), rest] }
    default:
      throw fault('invalidParameter', `${name} is not a valid change command`)
  }
}

/** `["a","b"]` as it is; anything else is for the shell. */
function command(text: string): readonly string[] {
  return jsonList(text) ?? ['/bin/sh', '-c', text]
}

function jsonList(text: string): readonly string[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const list = JSON.parse(text) as unknown
    return Array.isArray(list) && list.every(one => typeof one === 'string') ? list : undefined
  } catch {
    return undefined
  }
}

/** Words as a shell splits them: quotes group, a backslash takes the next character as it is. */
function words(text: string): string[] {
  return [...text.matchAll(/(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'\\])+/g)].map(([word]) =>
    word.replaceAll(
      /\\(.)|"((?:\\.|[^"\\])*)"|'([^']*)'/g,
      (_, escaped: string, double: string, single: string) =>
        escaped ?? double?.replaceAll(/\\(["\\$])/g, '$1') ?? single,
    ),
  )
}

/** `a=1 b="2 3"`, or the old form `a the rest`. */
function keyValues(instruction: string, text: string): [string, string][] {
  const list = words(text)
  if (!(list[0] ?? '').includes('=')) {
    const [name = ''] = text.split(/\s/, 1)
    const value = text.slice(name.length).trim()
    if (value === '') throw fault('invalidParameter', `${instruction} must have two arguments`)
    return [[name, value]]
  }
  return list.map(word => {
    const equals = word.indexOf('=')
    if (equals < 1) {
      throw fault(
        'invalidParameter',
        `Syntax error - can't find = in "${word}". Must be of the form: name=value`,
      )
    }
    return [word.slice(0, equals), word.slice(equals + 1)]
  })
}

/** `80`, `53/udp`, `8000-8002/tcp` */
function ports(text: string): string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text)
  const first = Number(match?.[1])
  const last = Number(match?.[2] ?? match?.[1])
  if (match === null || first > last || last > 65_535) {
    throw fault('invalidParameter', `invalid containerPort: ${text}`)
  }
  const protocol = (match[3] ?? 'tcp').toLowerCase()
  return Array.from({ length: last - first + 1 }, (_, index) => `${String(first + index)}/${protocol}`)
}

function flags(names: readonly string[]): Record<string, Record<string, never>> {
  return Object.fromEntries(names.map(name => [name, {}]))
}
