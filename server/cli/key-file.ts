// The key file as the command sees it, and the only hand that writes it: whole or not at all, since a key that is lost takes what it
// wraps with it. Says nothing of what is in it.
import { randomBytes } from 'node:crypto'
import { chownSync, closeSync, fsyncSync, openSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { AppError } from '../errors.ts'
import { isKeyRingText, type KeyRing, parseKeyRing } from '../vault/cipher.ts'

export interface KeyFile {
  path: string
  text: string
  ring: KeyRing
}

/** The file of QUAYSIDE_KEY_FILE. Throws AppError invalid: not set, not readable, no key ring. */
export function readKeyFile(): KeyFile {
  const path = required('QUAYSIDE_KEY_FILE')
  if (isKeyRingText(path)) throw new AppError('invalid', 'QUAYSIDE_KEY_FILE holds the key itself; give the name of a file that holds it.')
  try {
    const real = realpathSync(path)
    const text = readFileSync(real, 'utf8')
    return { path: real, text, ring: parseKeyRing(text) }
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('invalid', `QUAYSIDE_KEY_FILE points to ${path}, which cannot be read.`, {
      cause,
      remedy: 'Name the key file of the server, as somebody who may read it.'
    })
  }
}

/**
 * In its place, mode 0600, with the owner it had; on the disk when this returns. Throws AppError conflict (somebody else wrote it since
 * it was read), invalid (it cannot be written); then it is as it was.
 */
export function writeKeyFile({ path, text: was }: KeyFile, text: string): KeyFile {
  const ring = parseKeyRing(text)
  const next = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}`)
  try {
    const { uid, gid } = statSync(path)
    write(next, text)
    const own = statSync(next)
    if (own.uid !== uid || own.gid !== gid) chownSync(next, uid, gid)
    if (readFileSync(path, 'utf8') !== was) {
      throw new AppError('conflict', `The key file ${path} was changed by somebody else just now.`, { remedy: 'Run the command again.' })
    }
    renameSync(next, path)
  } catch (cause) {
    rmSync(next, { force: true })
    if (cause instanceof AppError) throw cause
    throw new AppError('invalid', `The key file ${path} cannot be replaced.`, {
      cause,
      remedy:
        'Run the command as its owner, where its folder may be written; or put a line of "quayside keys new" in front yourself and run "quayside keys rotate --continue".'
    })
  }
  syncFolder(dirname(path))
  return { path, text, ring }
}

function write(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** The new name has to be on the disk as well. Windows has no such thing. */
function syncFolder(path: string): void {
  if (process.platform === 'win32') return
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

export function required(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '')
    throw new AppError('invalid', `${name} is not set.`, { remedy: 'Use the settings of the server: docs/operating.md.' })
  return value
}
