import { expect, it } from 'vitest'
import { dnsNames } from './names.ts'

it.each<[string, readonly string[], string, string, readonly string[]]>([
  ['/web', ['db', 'cache'], '91a314fedc6c', 'box', ['web', 'db', 'cache', '91a314fedc6c', 'box']],
  ['web', [], '91a314fedc6c', '91a314fedc6c', ['web', '91a314fedc6c']],
  ['web', ['WEB', 'web', 'api'], '91a314fedc6c', 'Api', ['web', 'api', '91a314fedc6c']],
  ['web.shop', [], '91a314fedc6c', '', ['web.shop', '91a314fedc6c']],
])('names of %s with aliases %j', (name, aliases, shortId, hostname, expected) => {
  expect(dnsNames(name, aliases, shortId, hostname)).toEqual(expected)
})
