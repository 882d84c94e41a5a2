// `quayside keys …`: the key ring that seals everything. `new` needs no server; the others change the key file here and let the server
// move what is sealed. Each may be stopped anywhere and typed again: it goes on where it stood.
import type { Command } from 'commander'
import { setTimeout as pause } from 'node:timers/promises'
import { AppError, isAppError } from '../errors.ts'
import type { KeyRingStatus, NewRewrap, Rewrap } from '../http/contract/operator.ts'
import { generateKeyRing, type KeyRing } from '../vault/cipher.ts'
import { type KeyFile, readKeyFile, writeKeyFile } from './key-file.ts'
import { askServer, print } from './server.ts'

type Json = { json?: true }

export function keyCommands(program: Command): void {
  const keys = program.command('keys').description('the key ring that seals everything')

  keys
    .command('new')
    .description('print a new key ring; keep it in a file of mode 0600 and name that file in QUAYSIDE_KEY_FILE')
    .action(() => {
      process.stdout.write(generateKeyRing())
    })

  keys
    .command('status')
    .description('which key wraps how many secrets, which may be removed, and what has to be replaced')
    .option('--json', 'one JSON object')
    .action(async ({ json }: Json) => {
      const status = await askServer<KeyRingStatus>('GET', '/vault/keys')
      if (json === true) return print(true, status, [])
      print(false, status, status.keys.map(rowOf))
      process.stdout.write(wordsOf(status))
    })

  keys
    .command('rotate')
    .description('put a new key in front of the key file and move every secret to it, while everything runs')
    .option('--continue', 'make no new key: move everything to the one in front')
    .option('--new', 'make a new key though the last move is not finished')
    .option('--json', 'one JSON object at the end')
    .action(async (options: Json & { continue?: true; new?: true }) => {
      const file = readKeyFile()
      const status = await sameFile(file)
      const made = options.new === true || (options.continue !== true && isSettled(status))
      const before = file.ring
      const after = made ? inFront(file) : file
      const { id } = after.ring.current
      say(made ? `The new key is ${id}.` : `No new key is made: ${id} is in front, and what is not under it yet moves on.`)
      const started = await start({ keyId: id }, before, made ? { file, after } : null)
      const moved = await follow(started, after.ring)
      await end(options.json === true, moved, made)
    })

  keys
    .command('compromise <key...>')
    .description('a key is known to others: seal anew what it wrapped, and list what has to be replaced')
    .option('--json', 'one JSON object at the end')
    .action(async (compromised: string[], { json }: Json) => {
      const file = readKeyFile()
      await sameFile(file)
      const made = compromised.includes(file.ring.current.id)
      const after = made ? inFront(file) : file
      const { id } = after.ring.current
      if (made) say(`The new key is ${id}.`)
      const started = await start({ keyId: id, compromised }, file.ring, made ? { file, after } : null)
      const moved = await follow(started, after.ring)
      await end(json === true, moved, made)
    })
}

/** Throws AppError conflict when the server reads another key file: a key written here would not reach it. */
async function sameFile({ path, ring }: KeyFile): Promise<KeyRingStatus> {
  const status = await askServer<KeyRingStatus>('GET', '/vault/keys')
  const there = status.keys.filter(({ state }) => state !== 'missing').map(({ id }) => id)
  if (status.inFront === ring.current.id && there.length === ring.keys.size && there.every(id => ring.keys.has(id))) return status
  throw new AppError('conflict', `The server reads another key file than ${path}, or one with other keys: ${there.join(', ')}.`, {
    remedy: 'Run the command beside the server, with its QUAYSIDE_KEY_FILE; with several servers, bring the same file to all of them first.'
  })
}

/** All stands under the key in front. */
function isSettled({ keys, inFront, rewrap }: KeyRingStatus): boolean {
  return rewrap === null && keys.every(({ id, secrets }) => (id === inFront ? secrets > 0 : secrets === 0))
}

function inFront(file: KeyFile): KeyFile {
  return writeKeyFile(file, `${generateKeyRing()}${file.text}`)
}

/**
 * Marked with a key that the server surely has. Where it refuses the new key for good, the file is put back as it was: nothing is sealed
 * under that key. Where no answer came, the file stays, since the server may have begun.
 */
async function start(asked: NewRewrap, ring: KeyRing, written: { file: KeyFile; after: KeyFile } | null): Promise<Rewrap> {
  try {
    return await askServer<Rewrap>('POST', '/vault/rewrap', asked, ring)
  } catch (error) {
    if (written === null) throw error
    const refused = isAppError(error) && !['upstream', 'internal'].includes(error.code)
    if (refused) writeKeyFile(written.after, written.file.text)
    else say('The new key stays in the key file. Run "quayside keys rotate" again.')
    throw error
  }
}

/** Shows how far it is until it ends. Throws AppError conflict when it ended early. */
async function follow(started: Rewrap, ring: KeyRing): Promise<Rewrap> {
  let now = started
  let [shown, shownAt] = ['', 0]
  const terminal = process.stderr.isTTY
  const show = () => {
    // A line that is not written over would fill a log.
    if (!terminal && now.running && Date.now() - shownAt < 1_000) return
    const line = `${now.done} of ${now.total} secrets under ${now.keyId}${now.running && now.error ? ` (${now.error})` : ''}`
    if (line === shown) return
    process.stderr.write(terminal ? `\r\u001b[K${line}` : `${line}\n`)
    ;[shown, shownAt] = [line, Date.now()]
  }
  for (show(); now.running && now.jobId !== null; show()) {
    await pause(200)
    now = await askServer<Rewrap>('GET', `/vault/rewrap?job=${now.jobId}`, undefined, ring)
  }
  if (terminal) process.stderr.write('\n')
  if (now.error !== null) throw new AppError('conflict', now.error, { remedy: 'Run "quayside keys rotate --continue" to go on.' })
  return now
}

async function end(json: boolean, moved: Rewrap, made: boolean): Promise<void> {
  const status = await askServer<KeyRingStatus>('GET', '/vault/keys')
  const { keys, exposed } = status
  const removable = keys.filter(key => key.removable).map(({ id }) => id)
  const needed = keys.filter(key => !key.removable && key.secrets > 0).map(({ id }) => id)
  if (json) return print(true, { keyId: moved.keyId, made, done: moved.done, total: moved.total, removable, needed, exposed }, [])
  process.stdout.write(`${moved.done} of ${moved.total} secrets are under ${moved.keyId}.\n${wordsOf(status)}`)
}

function wordsOf({ keys, inFront, rewrap, exposed }: KeyRingStatus): string {
  const lines: string[] = []
  const current = keys.find(({ state }) => state === 'current')?.id
  if (rewrap) lines.push(`Under way: ${rewrap.done} of ${rewrap.total} secrets are under ${rewrap.keyId}.`)
  else if (current !== inFront) lines.push(`${inFront} is in front of the file, but ${current} seals. Run: quayside keys rotate`)
  for (const { id, secrets, rows } of keys.filter(({ state }) => state === 'missing')) {
    lines.push(`MISSING: ${id} is not in the key file, and ${secrets} secret(s) need it: ${rows.join(', ')}. Put it back.`)
  }
  for (const { id, removable, secrets, compromised } of keys) {
    if (removable && compromised) lines.push(`Remove ${id} from the key file now: it is compromised and nothing needs it.`)
    else if (removable)
      lines.push(`${id} may be removed from the key file now; keep it with the backups of the database that still need it.`)
    else if (id !== inFront && secrets > 0) lines.push(`${id} must stay in the key file: ${secrets} secret(s) need it.`)
  }
  if (exposed.length > 0) lines.push(`${exposed.length} secret(s) may be known to others and have to be replaced:`)
  for (const { id, purpose, installationId, remedy } of exposed) {
    lines.push(`  ${id}  ${purpose}${installationId === null ? '' : ` of ${installationId}`}: ${remedy}`)
  }
  return lines.map(line => `${line}\n`).join('')
}

function rowOf({ id, state, secrets, removable, compromised }: KeyRingStatus['keys'][number]): Record<string, unknown> {
  return { key: id, state: compromised ? `${state}, compromised` : state, secrets, removable: removable ? 'yes' : 'no' }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}
