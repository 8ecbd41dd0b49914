import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileTemplate, TemplateError } from './index.ts'

const data = {
  Id: '0123456789abcdef',
  Name: '/web',
  Empty: '',
  Zero: 0,
  Yes: true,
  Nothing: null,
  List: ['a', 'b', 'c'],
  Map: { z: 1, a: { deep: 'x' } },
  Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '443/tcp': null },
  Label: (key: unknown) => `<${String(key)}>`,
}

const render = (source: string): string => compileTemplate(source, { missing: 'error' }).render(data)

describe('a template', () => {
  it.each([
    ['plain', 'plain'],
    ['{{.Name}}', '/web'],
    ['{{ .Name }}!', '/web!'],
    ['{{.Map.a.deep}}', 'x'],
    ['{{.id}}', '0123456789abcdef'],
    ['{{.Nothing}}', '<no value>'],
    ['{{.List}}', '[a b c]'],
    ['{{.Map}}', 'map[a:map[deep:x] z:1]'],
    ['{{.Yes}}{{.Zero}}', 'true0'],
    ['{{json .Map}}', '{"z":1,"a":{"deep":"x"}}'],
    ['{{json .Nothing}}', 'null'],
    ['{{.Map | json}}', '{"z":1,"a":{"deep":"x"}}'],
    ['{{index .List 1}}', 'b'],
    ['{{(index (index .Ports "80/tcp") 0).HostPort}}', '8080'],
    ['{{with index .Ports "80/tcp"}}{{(index . 0).HostIp}}{{end}}', '0.0.0.0'],
    ['{{slice .Id 0 4}}|{{slice .List 1}}', '0123|[b c]'],
    ['{{len .List}}{{len .Map}}{{len .Name}}', '324'],
    ['{{range .List}}<{{.}}>{{end}}', '<a><b><c>'],
    ['{{range $i, $x := .List}}{{$i}}{{$x}} {{end}}', '0a 1b 2c '],
    ['{{range $k, $v := .Map}}{{$k}} {{end}}', 'a z '],
    ['{{range .Empty2}}x{{else}}none{{end}}', undefined],
    ['{{range .Nothing}}x{{else}}none{{end}}', 'none'],
    ['{{range .List}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', 'ac'],
    ['{{range .List}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', 'a'],
    ['{{if .Yes}}y{{else}}n{{end}}', 'y'],
    ['{{if .Empty}}y{{else if .Zero}}z{{else}}n{{end}}', 'n'],
    ['{{if and .Yes (not .Zero)}}ok{{end}}', 'ok'],
    ['{{if or .Empty .Name}}ok{{end}}', 'ok'],
    ['{{and .Zero .NoSuch}}', '0'],
    ['{{with .Map.a}}{{.deep}}{{$.Name}}{{end}}', 'x/web'],
    ['{{$x := .Name}}{{$x}}{{$x = "new"}}{{$x}}', '/webnew'],
    ['{{join .List ","}}|{{upper "a"}}|{{lower "B"}}|{{title "one two"}}', 'a,b,c|A|b|One Two'],
    ['{{split "a:b" ":"}}|{{truncate .Id 3}}|{{pad "x" 1 2}}|', '[a b]|012| x  |'],
    ['{{printf "%s-%d-%q-%5s|%-4s|%05d|%v" "a" 7 "q" "r" "l" 42 .List}}', 'a-7-"q"-    r|l   |00042|[a b c]'],
    ['{{println "a" 1}}', 'a 1\n'],
    ['{{print "a" "b" 1 2}}', 'ab1 2'],
    ['{{"quoted\\t\\"x\\""}}{{`raw\\t`}}', 'quoted\t"x"raw\\t'],
    ['a  {{- " b " -}}  c', 'a b c'],
    ['{{/* nothing */}}x{{- /* trimmed */ -}} y', 'xy'],
    ['{{define "t"}}[{{.}}]{{end}}{{template "t" .Name}}', '[/web]'],
    ['{{block "b" .Name}}({{.}}){{end}}', '(/web)'],
    ['{{.Label "k"}}', '<k>'],
    ['{{ne .Name "x"}}{{lt 1 2}}{{ge "b" "a"}}{{eq .Name "x" "/web"}}', 'truetruetruetrue'],
    ['{{html "<a>"}}{{urlquery "a b/c"}}', '&#60;a&#62;a+b%2Fc'],
  ])('%s', (source, expected) => {
    if (expected === undefined) expect(() => render(source)).toThrow(TemplateError)
    else expect(render(source)).toBe(expected)
  })

  it.each([
    ['{{.Foo', 'template: :1: unclosed action'],
    ['{{.Name}', "template: :1: unexpected bad character U+007D '}' in command"],
    ['{{nosuch}}', 'template: :1: function "nosuch" not defined'],
    ['{{if .Yes}}x', 'template: :1: unexpected EOF'],
    ['{{end}}', 'template: :1: unexpected {{end}}'],
    ['{{}}', 'template: :1: missing value for command'],
    ['{{.A.B}}x\n{{.Foo}}', 'template: :1:4: executing "" at <.A.B>: map has no entry for key "A"'],
    ['a{{.Foo}}', 'template: :1:3: executing "" at <.Foo>: map has no entry for key "Foo"'],
    ['\n  {{.Foo}}', 'template: :2:4: executing "" at <.Foo>: map has no entry for key "Foo"'],
    ['{{.Name.X}}', 'template: :1:7: executing "" at <.Name.X>: can\'t evaluate field X in type string'],
    [
      '{{index .List 9}}',
      'template: :1:2: executing "" at <index>: error calling index: index out of range: 9',
    ],
    ['{{break}}', 'template: :1: {{break}} outside {{range}}'],
  ])('%s is refused', (source, message) => {
    expect(() => render(source)).toThrow(new TemplateError(message))
  })

  it('gives text without actions back as it is', () => {
    fc.assert(
      fc.property(
        fc.string().filter(text => !text.includes('{{')),
        text => render(text) === text,
      ),
    )
  })

  it('either renders or refuses with a message of its own, whatever it is given', () => {
    const piece = fc.constantFrom(
      '{{',
      '}}',
      '.Name',
      'range',
      'if',
      'end',
      'else',
      ' ',
      '$x',
      ':=',
      '|',
      '(',
      ')',
      '"a"',
      '1',
      'json',
      'index',
      '-',
      '.',
      'x',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), pieces => {
        try {
          render(pieces.join(''))
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateError)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('writes titles where rows write values, functions aside', () => {
    const { header } = compileTemplate('{{upper .Name}}\t{{json .ID}}', { missing: 'error' })
    expect(header({ Name: 'Name', ID: 'CONTAINER ID' })).toBe('Name\tCONTAINER ID')
  })
})
