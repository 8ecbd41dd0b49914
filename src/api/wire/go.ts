/**
 * Schemas that accept what Go's JSON decoder accepts: keys match without regard to case, null is the same as absent,
 * unknown keys are ignored. Absent values come out as undefined; `compact` drops them.
 */
import { z } from 'zod'

function foldKeys(names: readonly string[], keepOthers: boolean): (value: unknown) => unknown {
  const canonical = new Map(names.map(name => [name.toLowerCase(), name]))
  return value => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    // Entries, not assignment: a key `__proto__` stays a plain key.
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, field]): [string, unknown][] => {
        const name = canonical.get(key.toLowerCase())
        if (name !== undefined) return [[name, field]]
        return keepOthers ? [[key, field]] : []
      }),
    )
  }
}

/** A Go struct. */
export function struct<S extends z.ZodRawShape>(shape: S) {
  return z.preprocess(foldKeys(Object.keys(shape), false), z.object(shape))
}

/** A Go struct of which the fields that are not named here are kept too. */
export function openStruct<S extends z.ZodRawShape>(shape: S) {
  return z.preprocess(foldKeys(Object.keys(shape), true), z.looseObject(shape))
}

/** A field that may be absent or null. */
export function field<S extends z.ZodType>(schema: S) {
  return schema.nullish().transform(value => value ?? undefined)
}

export const text = field(z.string())
export const bool = field(z.boolean())
export const int = field(z.int())
/** Go decodes a null element to the zero value. */
const element = z
  .string()
  .nullable()
  .transform(value => value ?? '')
export const texts = field(z.array(element))
export const textMap = field(z.record(z.string(), element))
/** Go's `map[string]struct{}`: a set. */
export const set = field(
  z
    .record(z.string(), z.unknown())
    .transform((value): Record<string, Record<string, never>> =>
      Object.fromEntries(Object.keys(value).map(key => [key, {}])),
    ),
)
/** Docker's `strslice`: one string stands for a list of one. */
export const command = z.preprocess(value => (typeof value === 'string' ? [value] : value), texts)

/** What is left of `T` when the keys that hold undefined are dropped. */
export type Compact<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

export function compact<T extends object>(value: T): Compact<T> {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as Compact<T>
}
