import { describe, expect, it } from 'vitest'
import { runtimeFault, startExitCode } from './messages.ts'

const shim = 'failed to create task for container: failed to create shim task: OCI runtime'
const unable = 'unable to start container process'

// Outputs as runc 1.1.5 and crun 1.8.1 print them.
const runc = (message: string): string =>
  `time="2026-01-01T00:00:00Z" level=error msg=${JSON.stringify(message)}\n`

describe('runtimeFault', () => {
  it.each([
    [
      'runc',
      runc(
        'runc create failed: unable to start container process: exec: "x": executable file not found in $PATH',
      ),
      400,
      127,
      `${shim} create failed: runc create failed: ${unable}: exec: "x": executable file not found in $PATH: unknown`,
    ],
    [
      'crun',
      'executable file `x` not found in $PATH: No such file or directory\n',
      400,
      127,
      `${shim} create failed: runc create failed: ${unable}: exec: "x": executable file not found in $PATH: unknown`,
    ],
    [
      'crun',
      'executable file `/x` not found in $PATH: No such file or directory\n',
      400,
      127,
      `${shim} create failed: runc create failed: ${unable}: exec: "/x": stat /x: no such file or directory: unknown`,
    ],
    [
      'runc',
      runc('runc create failed: unable to start container process: exec: "/noexec": permission denied'),
      400,
      126,
      `${shim} create failed: runc create failed: ${unable}: exec: "/noexec": permission denied: unknown`,
    ],
    [
      'crun',
      'open executable: Operation not permitted\n',
      400,
      126,
      `${shim} create failed: runc create failed: ${unable}: exec: "x": permission denied: unknown`,
    ],
    [
      'crun',
      'chdir `/noexec`: Not a directory\n',
      400,
      127,
      `${shim} create failed: runc create failed: ${unable}: chdir to cwd ("/noexec") set in config.json failed: not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type`,
    ],
    [
      'crun',
      'mount `proc` to `proc`: Operation not permitted\n',
      500,
      128,
      `${shim} create failed: runc create failed: ${unable}: mount \`proc\` to \`proc\`: operation not permitted: unknown`,
    ],
    [
      'runc',
      '',
      500,
      128,
      `${shim} create failed: runc create failed: the runtime ended without a message: unknown`,
    ],
  ])('%s: %j', (runtime, output, status, exitCode, message) => {
    const error = runtimeFault('create', runtime, 'x', output)
    expect(error).toMatchObject({ status, message })
    expect(startExitCode(error.message)).toBe(exitCode)
  })

  it('says exec failures in Docker’s form, from JSON logs too, and passes over warnings', () => {
    const output = [
      '{"level":"error","msg":"exec failed: unable to start container process: exec: \\"x\\": executable file not found in $PATH","time":"t"}',
      '{"level":"warning","msg":"something harmless","time":"t"}',
    ].join('\n')
    expect(runtimeFault('exec', 'runc', 'x', output).message).toBe(
      `OCI runtime exec failed: exec failed: ${unable}: exec: "x": executable file not found in $PATH: unknown`,
    )
    expect(runtimeFault('exec', 'crun', 'x', 'open executable: Permission denied').message).toBe(
      `OCI runtime exec failed: exec failed: ${unable}: exec: "x": permission denied: unknown`,
    )
  })
})
