// Everything that can be judged without running the product: types, lint, format, dead code, and the house rules
// (which are a test, so that they are also part of `npm test`). All run even when one fails, so that one look shows all.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

const checks: [name: string, command: string, ...args: string[]][] = [
  ['types', 'tsc'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['format', 'biome', 'format', '.'],
  ['dead code', 'knip'],
  ['house', 'vitest', 'run', '--project', 'node', 'test/house.test.ts']
]

const failed: string[] = []
for (const [name, command, ...args] of checks) {
  const startedAt = performance.now()
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32'
  })
  if (error) console.error(error)
  const ok = status === 0
  if (!ok) failed.push(name)
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`)
}
if (failed.length > 0) {
  console.error(`check failed: ${failed.join(', ')}`)
  process.exit(1)
}
