// Saves the world to a file and brings it back, for `--keep`. The file holds private keys and toy passwords of a world that
// guards nothing, and is still written 0600 so that nobody learns to do otherwise.
import { readFile, rename, writeFile } from 'node:fs/promises'
import type { World } from './model.ts'

const format = 1

/** Written beside and renamed, so that a crash leaves the old snapshot whole. */
export async function snapshot(world: World, file: string): Promise<void> {
  const beside = `${file}.${process.pid}.tmp`
  await writeFile(beside, JSON.stringify({ format, world }), { mode: 0o600 })
  await rename(beside, file)
}

/** The saved world; null when there is no such file. Throws Error, naming the file, when it is not one of ours. */
export async function restore(file: string): Promise<World | null> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  let saved: { format?: unknown; world?: World }
  try {
    saved = JSON.parse(text) as { format?: unknown; world?: World }
  } catch (cause) {
    throw new Error(`${file} is not a snapshot of the sandbox: delete it or name another`, { cause })
  }
  if (saved.format !== format || !saved.world?.stacks)
    throw new Error(`${file} is not a snapshot this sandbox can read: delete it or name another`)
  return saved.world
}
