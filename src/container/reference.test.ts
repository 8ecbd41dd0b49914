import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  familiarName,
  familiarReference,
  fullReference,
  isLoopbackRegistry,
  parseReference,
  withDefaultTag,
} from './reference.ts'

const digest = `sha256:${'ab'.repeat(32)}`

describe('parseReference', () => {
  it.each([
    ['busybox', 'docker.io/library/busybox', 'busybox'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
    ['docker.io/busybox', 'docker.io/library/busybox', 'busybox'],
    ['index.docker.io/library/busybox', 'docker.io/library/busybox', 'busybox'],
    ['someone/tool', 'docker.io/someone/tool', 'someone/tool'],
    ['library/a/b', 'docker.io/library/a/b', 'library/a/b'],
    ['localhost/web', 'localhost/web', 'localhost/web'],
    ['localhost:5000/web:v1', 'localhost:5000/web:v1', 'localhost:5000/web:v1'],
    ['127.0.0.1:5000/a/b', '127.0.0.1:5000/a/b', '127.0.0.1:5000/a/b'],
    ['[::1]:5000/web', '[::1]:5000/web', '[::1]:5000/web'],
    ['quay.io/a_b/c--d/e.f', 'quay.io/a_b/c--d/e.f', 'quay.io/a_b/c--d/e.f'],
    [`busybox@${digest}`, `docker.io/library/busybox@${digest}`, `busybox@${digest}`],
    [`busybox:1@${digest}`, `docker.io/library/busybox:1@${digest}`, `busybox:1@${digest}`],
    ['HOST/web', 'HOST/web', 'HOST/web'],
  ])('%s', (text, full, familiar) => {
    const reference = parseReference(text)
    expect(fullReference(reference)).toBe(full)
    expect(familiarReference(reference)).toBe(familiar)
    expect(parseReference(full)).toEqual(reference)
  })

  it.each([
    ['', 'invalid reference format'],
    ['a:', 'invalid reference format'],
    ['a//b', 'invalid reference format'],
    ['-a', 'invalid reference format'],
    ['a:b:c', 'invalid reference format'],
    ['a@sha256:12', 'invalid reference format'],
    ['host.example:port/web', 'invalid reference format'],
    [':tag', 'invalid reference format'],
    ['Busybox', 'invalid reference format: repository name (library/Busybox) must be lowercase'],
    ['quay.io/Web:1', 'invalid reference format: repository name (Web) must be lowercase'],
    [
      `quay.io/${'a'.repeat(250)}`,
      'invalid reference format: repository name must not be longer than 255 characters',
    ],
    [
      'ab'.repeat(32),
      `invalid repository name (${'ab'.repeat(32)}), cannot specify 64-byte hexadecimal strings`,
    ],
  ])('refuses %j', (text, message) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ message, status: 400 }))
  })

  it('never throws anything but a fault, and what it accepts reads back the same', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9:@/._-]{0,80}$/), text => {
        try {
          const reference = parseReference(text)
          expect(parseReference(fullReference(reference))).toEqual(reference)
          expect(parseReference(familiarReference(reference))).toEqual(reference)
        } catch (error) {
          expect(error).toMatchObject({ name: 'Fault', status: 400 })
        }
      }),
    )
  })
})

it('adds the default tag only where nothing is named', () => {
  expect(withDefaultTag(parseReference('busybox')).tag).toBe('latest')
  expect(withDefaultTag(parseReference('busybox:1')).tag).toBe('1')
  expect(withDefaultTag(parseReference(`busybox@${digest}`)).tag).toBeUndefined()
  expect(familiarName(parseReference('docker.io/library/web:3'))).toBe('web')
})

it.each([
  ['localhost:5000', true],
  ['localhost', true],
  ['127.0.0.1:5000', true],
  ['127.9.9.9', true],
  ['[::1]:5000', true],
  ['docker.io', false],
  ['localhost.example', false],
  ['10.0.0.1:5000', false],
])('loopback registry %s: %s', (registry, expected) => {
  expect(isLoopbackRegistry(registry)).toBe(expected)
})
