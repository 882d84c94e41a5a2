// Every script passes scripts/require-node.cjs first. It must be readable to the old Node that it is there to stop.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'

const file = fileURLToPath(new URL('../scripts/require-node.cjs', import.meta.url))

function runUnder(version: string): { output: string; exitCode: number | null } {
  let output = ''
  let exitCode: number | null = null
  const process = {
    versions: { node: version },
    execPath: '/usr/bin/node',
    platform: 'linux',
    arch: 'x64',
    stderr: { write: (text: string) => (output += text) },
    exit: (code: number) => (exitCode = code)
  }
  runInNewContext(readFileSync(file, 'utf8'), { process, Number })
  return { output, exitCode }
}

it.each(['12.22.0', '18.20.4', '20.20.2', '23.11.0'])('stops Node %s with the version, the likely cause and the remedy', version => {
  const { output, exitCode } = runUnder(version)
  expect(exitCode).toBe(1)
  expect(output).toContain(`this is Node ${version}`)
  expect(output).toContain('--ignore-scripts')
  expect(output).toContain('no build for this platform (linux x64)')
  expect(output).toContain('Remedy: run "npm ci" again')
})

it('lets Node 24 and later pass in silence', () => {
  expect(runUnder('24.0.0')).toEqual({ output: '', exitCode: null })
  expect(spawnSync(process.execPath, [file], { encoding: 'utf8' })).toMatchObject({ status: 0, stdout: '', stderr: '' })
})

it('stands before every script of package.json', () => {
  const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { scripts: Record<string, string> }
  for (const [name, command] of Object.entries(scripts)) expect(command, name).toMatch(/^node scripts\/require-node\.cjs && /)
})
