// Times as people say them, with the exact time on hover and for screen readers; one clock ticks for the whole page. In
// English as the pages are: 'vor 3 Min.' in an English sentence would be nobody's language.
import { useSyncExternalStore } from 'react'

const exact = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })
const relative = new Intl.RelativeTimeFormat('en-GB', { numeric: 'auto', style: 'short' })

const units: [Intl.RelativeTimeFormatUnit, seconds: number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60]
]

/** '3 min. ago', 'in 2 days', 'just now' within ten seconds. Both in milliseconds since 1970. */
export function relativeTime(at: number, now: number): string {
  const seconds = Math.round((at - now) / 1000)
  const distance = Math.abs(seconds)
  if (distance < 10) return 'just now'
  const [unit, size] = units.find(([, size]) => distance >= size) ?? ['second', 1]
  return relative.format(Math.trunc(seconds / size), unit)
}

/** '1 h 04 min', '3 min 20 s', '8 s'. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
}

/** For a title: '3 Dec 2026, 14:02:11'. */
export const exactTime = (at: number): string => exact.format(at)

export const dayMs = 86_400_000

/** Whole days that are left, as the reminders count them. 0 within the last one, less when it is past. */
export function daysLeft(at: number, now: number): number {
  return Math.floor((at - now) / dayMs)
}

/** 'in 6 days', 'in 5 hours' within the last day, 'now' when past. Never in weeks: people plan an expiry by the day. */
export function untilWords(at: number, now: number): string {
  if (at <= now) return 'now'
  const days = daysLeft(at, now)
  if (days > 0) return days === 1 ? 'in 1 day' : `in ${days} days`
  const hours = Math.ceil((at - now) / 3_600_000)
  return hours === 1 ? 'within an hour' : `in ${hours} hours`
}

/** 'at 14:02' of today, 'on 3 Dec at 14:02' of another day. */
export function momentWords(at: number, now: number): string {
  const clock = `at ${new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' }).format(at)}`
  if (new Date(at).toDateString() === new Date(now).toDateString()) return clock
  return `on ${new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' }).format(at)} ${clock}`
}

let now = Date.now()
const listeners = new Set<() => void>()
let ticking: ReturnType<typeof setInterval> | undefined

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  now = Date.now()
  ticking ??= setInterval(() => {
    now = Date.now()
    for (const each of listeners) each()
  }, 1000)
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(ticking)
    ticking = undefined
  }
}

export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now)
}

export function Time({ at, none = 'never' }: { at: number | null | undefined; none?: string }) {
  const current = useNow()
  if (at === null || at === undefined) return <span className="muted">{none}</span>
  const full = exact.format(at)
  return (
    <time className="time" dateTime={new Date(at).toISOString()} title={full}>
      {relativeTime(at, current)}
      <span className="only-heard"> ({full})</span>
    </time>
  )
}

/** A date with no time of day, for expiries. */
export function Day({ at }: { at: number }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={exact.format(at)}>
      {new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' }).format(at)}
    </time>
  )
}

/** How long until something ends. */
export function Until({ at }: { at: number }) {
  const current = useNow()
  return (
    <time className="time" dateTime={new Date(at).toISOString()} title={exact.format(at)}>
      {untilWords(at, current)}
      <span className="only-heard"> ({exact.format(at)})</span>
    </time>
  )
}

/** When something happened, within a sentence that is read later. */
export function Moment({ at }: { at: number }) {
  return (
    <time dateTime={new Date(at).toISOString()} title={exact.format(at)}>
      {momentWords(at, Date.now())}
    </time>
  )
}
