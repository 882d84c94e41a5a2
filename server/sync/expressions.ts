// Expressions of mappings, evaluated in processes of their own: somebody else's code may loop for ever or ask for all memory, and
// what a thread allocates outside its heap no limit holds (docs/decisions/0008). A process that takes too long or too much is
// ended; the record it was at keeps the error and the others go on in a new one. Tenants never share a process.
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { AppError } from '../errors.ts'

/** JSON text of the value, or what went wrong, as the end of "The expression …". */
export type Evaluation = { value: string } | { error: string }

export interface Expressions {
  /**
   * For each record one evaluation per expression, in their order. `tenant`: the installation whose expressions they are.
   * Throws the signal's reason, AppError internal when no process can be started.
   */
  evaluate(tenant: string, expressions: readonly string[], records: readonly unknown[], signal: AbortSignal): Promise<Evaluation[][]>
  /** Ends its processes. */
  close(): void
}

export interface ExpressionLimits {
  /** For all expressions of one record together. */
  recordSeconds: number
  /** Of the whole process, 60 MB of which it needs for itself. */
  memoryMegabytes: number
  /** Processes at once, for all tenants. */
  processes: number
}

const usual: ExpressionLimits = { recordSeconds: 2, memoryMegabytes: 256, processes: 2 }
/** A record whose text is longer is refused: its parsing alone would fill the process. */
const longestRecord = 5_000_000
/** What is sent at once. */
const partCharacters = 1_000_000
/** Records of one call that may end a process; whatever is left then stands aside untried, or a bad expression would take hours. */
const endsPerCall = 5
const startSeconds = 20
const idleSeconds = 30

interface Child {
  process: ChildProcess
  tenant: string
  idle: NodeJS.Timeout | null
}

export function createExpressions(limits: Partial<ExpressionLimits> = {}): Expressions {
  const { recordSeconds, memoryMegabytes, processes } = { ...usual, ...limits }
  const children = new Set<Child>()
  const waiting: (() => void)[] = []
  let busy = 0

  async function take(signal: AbortSignal): Promise<void> {
    if (busy < processes) {
      busy += 1
      return
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    waiting.push(resolve)
    const gaveUp = (): void => {
      const place = waiting.indexOf(resolve)
      if (place < 0) return
      waiting.splice(place, 1)
      reject(signal.reason as Error)
    }
    signal.addEventListener('abort', gaveUp, { once: true })
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', gaveUp)
    }
  }

  /** Whoever waited longest takes the place over. */
  function giveBack(): void {
    const next = waiting.shift()
    if (next) next()
    else busy -= 1
  }

  async function childFor(tenant: string): Promise<Child> {
    const idle = [...children].filter(child => child.idle !== null)
    const own = idle.find(child => child.tenant === tenant)
    if (own) {
      clearTimeout(own.idle ?? undefined)
      own.idle = null
      own.process.channel?.ref()
      return own
    }
    if (children.size >= processes && idle[0]) end(idle[0])
    return await start(tenant)
  }

  async function start(tenant: string): Promise<Child> {
    const child: Child = { process: forked(memoryMegabytes), tenant, idle: null }
    children.add(child)
    child.process.once('exit', () => end(child))
    try {
      await ready(child.process)
    } catch (error) {
      end(child)
      throw error
    }
    return child
  }

  function rest(child: Child): void {
    if (!children.has(child)) return
    // At rest it must not keep us alive.
    child.process.unref()
    child.process.channel?.unref()
    child.idle = setTimeout(() => end(child), idleSeconds * 1000).unref()
  }

  function end(child: Child): void {
    children.delete(child)
    clearTimeout(child.idle ?? undefined)
    if (child.process.exitCode === null && child.process.signalCode === null) child.process.kill('SIGKILL')
  }

  return {
    async evaluate(tenant, expressions, records, signal) {
      signal.throwIfAborted()
      const texts = records.map(record => JSON.stringify(record) ?? 'null')
      const done: Evaluation[][] = texts.map(text => (text.length > longestRecord ? same(expressions, tooLong(text)) : []))
      if (expressions.length === 0) return done
      await take(signal)
      let child: Child | null = null
      try {
        let ends = 0
        for (;;) {
          const todo = nextPart(texts, done)
          if (todo.length === 0) return done
          if (ends >= endsPerCall) {
            const untried = `was not tried: it ended its process at ${ends} records before this one.`
            for (const index of texts.keys()) if (done[index]?.length === 0) done[index] = same(expressions, untried)
            return done
          }
          child ??= await childFor(tenant)
          signal.throwIfAborted()
          const why = await ask(child.process, expressions, todo, texts, done, recordSeconds, signal)
          if (why === null) continue
          end(child)
          child = null
          ends += 1
          standAside(expressions, todo, done, why === 'time' ? tookTooLong(recordSeconds) : tooLarge(memoryMegabytes))
        }
      } catch (error) {
        if (child) end(child)
        child = null
        throw error
      } finally {
        if (child) rest(child)
        giveBack()
      }
    },
    close() {
      for (const child of children) end(child)
    }
  }
}

/** Indexes of the next records without an answer, as many as go in one message. */
function nextPart(texts: readonly string[], done: readonly Evaluation[][]): number[] {
  const part: number[] = []
  let characters = 0
  for (const [index, text] of texts.entries()) {
    if (done[index]?.length !== 0) continue
    if (part.length > 0 && characters + text.length > partCharacters) break
    part.push(index)
    characters += text.length
  }
  return part
}

/** null: all answered. Otherwise the process ended, or was ended, at the first record that lacks an answer. */
async function ask(
  child: ChildProcess,
  expressions: readonly string[],
  todo: readonly number[],
  texts: readonly string[],
  done: Evaluation[][],
  recordSeconds: number,
  signal: AbortSignal
): Promise<'time' | 'memory' | null> {
  const { promise, resolve, reject } = Promise.withResolvers<'time' | 'memory' | null>()
  let at = 0
  let why: 'time' | 'memory' = 'memory'
  let timer: NodeJS.Timeout
  const arm = (): void => {
    const before = at
    timer = setTimeout(() => {
      // What it has said already is read first: this process may have been the slow one.
      setImmediate(() => {
        if (at !== before) return
        why = 'time'
        child.kill('SIGKILL')
      })
    }, recordSeconds * 1000)
  }
  const said = (evaluation: Evaluation): void => {
    const answers = done[todo[at] ?? -1]
    if (!answers) return
    answers.push(evaluation)
    if (answers.length < expressions.length) return
    clearTimeout(timer)
    at += 1
    if (at >= todo.length) resolve(null)
    else arm()
  }
  // After the last of what it said: its exit may be known before that is read.
  const gone = (): void => resolve(why)
  const aborted = (): void => reject(signal.reason as Error)
  child.on('message', said)
  child.once('disconnect', gone)
  signal.addEventListener('abort', aborted, { once: true })
  arm()
  try {
    if (child.connected) child.send({ expressions, records: todo.map(index => texts[index]) }, () => {})
    else gone()
    return await promise
  } finally {
    clearTimeout(timer!)
    child.off('message', said)
    child.off('disconnect', gone)
    signal.removeEventListener('abort', aborted)
  }
}

/** The first record without all its answers: the one at work. What it has not said is the error. */
function standAside(expressions: readonly string[], todo: readonly number[], done: Evaluation[][], error: string): void {
  const index = todo.find(candidate => (done[candidate]?.length ?? 0) < expressions.length)
  if (index === undefined) return
  const answers = done[index] ?? []
  answers.push({ error })
  while (answers.length < expressions.length) answers.push({ error: 'was not tried: one before it ended the process.' })
}

const same = (expressions: readonly string[], error: string): Evaluation[] => expressions.map(() => ({ error }))
const tooLong = (text: string): string => `was not tried: the record has ${text.length} characters; ${longestRecord} are allowed.`
const tookTooLong = (seconds: number): string => `took longer than ${seconds} s.`
const tooLarge = (megabytes: number): string => `needed more than ${megabytes} MB of memory.`

const entry = fileURLToPath(new URL('expression-process.ts', import.meta.url))

function forked(memoryMegabytes: number): ChildProcess {
  const child = fork(entry, [String(memoryMegabytes * 1024 * 1024)], {
    // Nothing of ours: no key, no address, no proxy. JSONata has no way out; these would hold if it had.
    env: {},
    execArgv: [
      `--max-old-space-size=${Math.floor(memoryMegabytes / 2)}`,
      '--permission',
      '--allow-fs-read=*',
      '--allow-worker',
      '--disallow-code-generation-from-strings',
      '--no-warnings'
    ],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc']
  })
  // A broken channel is met as its end.
  child.on('error', () => {})
  return child
}

async function ready(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const failed = (): void => reject(new AppError('internal', 'The process for expressions could not be started.'))
  const timer = setTimeout(failed, startSeconds * 1000)
  child.once('message', () => resolve())
  child.once('exit', failed)
  child.once('error', failed)
  try {
    await promise
  } finally {
    clearTimeout(timer)
    child.off('exit', failed)
    child.off('error', failed)
  }
}
