// Test files run in processes of their own; what only one of them may do at a time (unpack a binary, build a page) waits here.
// A lock is a directory, because making one is atomic on every file system.
import { mkdir, rm, stat } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'

/** What is locked takes seconds: whoever held it for longer was killed. */
const abandonedMilliseconds = 60_000

export async function whileHolding<T>(lock: string, work: () => Promise<T>): Promise<T> {
  await hold(lock)
  try {
    return await work()
  } finally {
    await rm(lock, { recursive: true, force: true })
  }
}

async function hold(lock: string): Promise<void> {
  for (;;) {
    try {
      await mkdir(lock)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const since = (await stat(lock).catch(() => null))?.mtimeMs ?? Date.now()
    if (Date.now() - since > abandonedMilliseconds) await rm(lock, { recursive: true, force: true })
    await wait(50)
  }
}
