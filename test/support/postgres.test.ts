// The package that brings PostgreSQL takes over the exit of the process it lives in; a failed test run must stay a failed one.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

it('leaves the exit code of a process that used a PostgreSQL alone', async () => {
  const setup = new URL('postgres.setup.ts', import.meta.url).href
  const code = `const { startPostgres } = await import('${setup}'); const server = await startPostgres(); process.exitCode = 7; await server.stop()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { cwd: fileURLToPath(new URL('../..', import.meta.url)) })
  const [exitCode] = await once(child, 'exit')
  expect(exitCode).toBe(7)
})
