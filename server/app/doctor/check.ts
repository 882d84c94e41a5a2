// One look at one thing, and many of them at once: each has its time, none hides another, and what breaks is a row like any other.
// Rows are shown to people and pasted into tickets, so they carry names, addresses and counts, never a secret.
import { AppError } from '../../errors.ts'
import type { Check } from '../../http/contract/doctor.ts'

/** `name` stands for all its rows while it runs, and for the one that says it did not come to an end. */
export interface Probe {
  name: string
  run(signal: AbortSignal): Promise<Check[]> | Check[]
  /** What to do when it takes too long. */
  lateRemedy?: string
  /** 5 unless set. */
  seconds?: number
}

export const ok = (name: string, detail: string): Check => ({ name, result: 'ok', detail, remedy: '' })
export const skipped = (name: string, detail: string, remedy = ''): Check => ({ name, result: 'skipped', detail, remedy })
export const warn = (name: string, detail: string, remedy: string): Check => ({ name, result: 'warn', detail, remedy })
export const bad = (name: string, detail: string, remedy: string): Check => ({ name, result: 'bad', detail, remedy })

/** Rows in the order of the probes. `onEnd` hears the names of those that still run. */
export async function runProbes(probes: readonly Probe[], onEnd: (running: readonly string[]) => void = () => {}): Promise<Check[]> {
  const running = new Set(probes)
  const rows = await Promise.all(
    probes.map(async probe => {
      const found = await runProbe(probe)
      running.delete(probe)
      onEnd([...running].map(({ name }) => name))
      return found
    })
  )
  return rows.flat()
}

async function runProbe({
  name,
  run,
  seconds = 5,
  lateRemedy = 'Try again; if it stays so, look at the network.'
}: Probe): Promise<Check[]> {
  const giveUp = new AbortController()
  const late = [bad(name, `Did not come to an end within ${seconds} s.`, lateRemedy)]
  try {
    return await within(
      seconds,
      giveUp,
      async () => await run(giveUp.signal),
      () => late
    )
  } catch (error) {
    return giveUp.signal.aborted ? late : [failed(name, error)]
  }
}

/** What `act` gives, or what `otherwise` gives once the time is over; `giveUp` is aborted then, and not waited for. */
export async function within<T>(seconds: number, giveUp: AbortController, act: () => Promise<T>, otherwise: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<T>(resolve => {
    timer = setTimeout(() => {
      resolve(otherwise())
      giveUp.abort()
    }, seconds * 1000)
  })
  try {
    return await Promise.race([act(), over])
  } finally {
    clearTimeout(timer)
  }
}

/** Of a library's error only its code is shown: its message may carry what it was given. */
export function failed(name: string, error: unknown): Check {
  if (error instanceof AppError) return bad(name, error.message, error.remedy ?? 'Look at the log of the server.')
  return bad(name, `This could not be looked at: ${codeOf(error) ?? 'a defect'}.`, 'Look at the log of the server.')
}

/** 'ECONNREFUSED', '28P01', 'CERT_HAS_EXPIRED': of the error or of what caused it; null where there is no such word. */
export function codeOf(error: unknown): string | null {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth += 1) {
    if ('code' in at && typeof at.code === 'string' && /^[A-Z0-9_]{3,60}$/.test(at.code)) return at.code
  }
  return null
}

/** 'a, b and 3 more' */
export function few(items: readonly string[], most = 5): string {
  return items.length <= most ? items.join(', ') : `${items.slice(0, most).join(', ')} and ${items.length - most} more`
}

/** '3 days', '5 min', '20 s' */
export function spanOf(milliseconds: number): string {
  const seconds = Math.round(Math.abs(milliseconds) / 1000)
  if (seconds >= 2 * 86_400) return `${Math.floor(seconds / 86_400)} days`
  if (seconds >= 2 * 3_600) return `${Math.floor(seconds / 3_600)} h`
  return seconds >= 120 ? `${Math.floor(seconds / 60)} min` : `${seconds} s`
}

/** '1 key', '3 keys' */
export function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`
}
