import { describe, expect, it } from 'vitest'
import { applyChanges } from './changes.ts'

describe('applyChanges', () => {
  it.each([
    ['CMD ["sh", "-c", "a b"]', { Cmd: ['sh', '-c', 'a b'] }],
    ['cmd echo hi', { Cmd: ['/bin/sh', '-c', 'echo hi'] }],
    ['ENTRYPOINT ["/init"]', { Entrypoint: ['/init'] }],
    ['ENV A=1 B="2 3" C=\'4\' D=5\\ 6', { Env: ['A=1', 'B=2 3', 'C=4', 'D=5 6'] }],
    ['ENV A the  rest', { Env: ['A=the  rest'] }],
    ['LABEL a.b=c "d e"=f', { Labels: { 'a.b': 'c', 'd e': 'f' } }],
    [
      'EXPOSE 80 53/UDP 8000-8001',
      { ExposedPorts: { '80/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {} } },
    ],
    ['VOLUME /a /b', { Volumes: { '/a': {}, '/b': {} } }],
    ['VOLUME ["/with space"]', { Volumes: { '/with space': {} } }],
    ['WORKDIR srv', { WorkingDir: '/srv' }],
    ['WORKDIR /a\nWORKDIR b', { WorkingDir: '/a/b' }],
    ['USER web:web', { User: 'web:web' }],
    ['STOPSIGNAL SIGINT', { StopSignal: 'SIGINT' }],
    ['ONBUILD RUN make', { OnBuild: ['RUN make'] }],
    ['# nothing\n', {}],
  ])('%s', (change, expected) => {
    expect(applyChanges({}, [change])).toEqual(expected)
  })

  it('keeps what it does not touch, and later wins', () => {
    expect(applyChanges({ Env: ['A=0', 'B=1'], User: 'x' }, ['ENV A=2', 'ENV C=3'])).toEqual({
      Env: ['B=1', 'A=2', 'C=3'],
      User: 'x',
    })
  })

  it.each([
    ['RUN make', 'RUN is not a valid change command'],
    ['CMD', 'CMD requires at least one argument'],
    ['ENV A', 'ENV must have two arguments'],
    ['ENV A=1 B', 'Syntax error - can\'t find = in "B". Must be of the form: name=value'],
    ['EXPOSE 70000', 'invalid containerPort: 70000'],
    ['EXPOSE http', 'invalid containerPort: http'],
  ])('refuses %s', (change, message) => {
    expect(() => applyChanges({}, [change])).toThrow(expect.objectContaining({ status: 400, message }))
  })
})
