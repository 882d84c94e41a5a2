// Builds the pages that the demo shows, if their sources are newer than what stands in dist/: a fresh clone has none.
import { spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const vite = fileURLToPath(new URL('../../node_modules/vite/bin/vite.js', import.meta.url))

const pages = [
  { output: 'dist/cms', sources: ['sandbox/cms'], config: ['--config', 'sandbox/cms/vite.config.ts'] },
  { output: 'dist/ui', sources: ['ui', 'server/http/contract', 'vite.config.ts'], config: [] }
]

/** Returns the names of what was built. Throws Error with the build's own output. */
export async function buildPages(): Promise<string[]> {
  const stale = pages.filter(({ output, sources }) => newest(output) < Math.max(...sources.map(newest)))
  await Promise.all(stale.map(({ config }) => run([vite, 'build', '--logLevel', 'warn', ...config])))
  return stale.map(({ output }) => output)
}

function newest(path: string): number {
  const full = join(root, path)
  const own = statSync(full, { throwIfNoEntry: false })
  if (!own) return 0
  if (!own.isDirectory()) return own.mtimeMs
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((latest, entry) => Math.max(latest, statSync(join(entry.parentPath, entry.name)).mtimeMs), 0)
}

function run(args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.once('error', reject)
    child.once('exit', code => (code === 0 ? resolve() : reject(new Error(`The pages could not be built:\n${output}`))))
  })
}
