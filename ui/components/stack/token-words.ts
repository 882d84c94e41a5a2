// What the state of a token means to people: what is the matter, what comes next by itself, and what they press. Pure; the same words
// stand on the app configuration page, in the console and on the pages of editors.
import type { Token } from '../../../server/http/contract/custody.ts'
import { counted } from '../basics.tsx'
import { dayMs, daysLeft, untilWords } from '../time.tsx'

/** Days before its end on which reminders go out. */
export const reminderDays = [30, 14, 7, 1]

/** So near to its end editors are told as well: their work is about to wait. */
const editorsDays = 7

export type Phase = 'none' | 'coming' | 'well' | 'exposed' | 'expiring' | 'dead'
export interface Standing {
  status: string
  expiresAt: number | null
  exposed?: boolean
}

/** The worst of it decides. */
export function phaseOf(token: Standing | null, now: number): Phase {
  if (token === null) return 'none'
  if (token.status === 'dead') return 'dead'
  if (token.status === 'minting' || token.status === 'verifying') return 'coming'
  if (token.expiresAt !== null && token.expiresAt <= now) return 'expiring'
  if (token.exposed) return 'exposed'
  return token.status === 'expiring' ? 'expiring' : 'well'
}

/** The one button. */
export function pressOf(phase: Phase): string {
  if (phase === 'none') return 'Connect this stack'
  return phase === 'dead' ? 'Replace token' : 'Rotate token'
}

/** 'expires in 6 days', 'has expired'. */
export function expiryWords(expiresAt: number, now: number): string {
  return expiresAt <= now ? 'has expired' : `expires ${untilWords(expiresAt, now)}`
}

export function concernsEditors(token: Standing | null, now: number): boolean {
  if (token === null) return false
  return token.status === 'dead' || (token.expiresAt !== null && daysLeft(token.expiresAt, now) <= editorsDays)
}

/** 'its 3 syncs wait; nothing is lost'. */
export function waitingWords(syncs: number): string {
  if (syncs === 0) return 'nothing can be synced until it is replaced'
  return `${syncs === 1 ? 'its sync waits' : `its ${syncs} syncs wait`}; nothing is lost`
}

const listed = new Intl.ListFormat('en-GB', { type: 'conjunction' })

/** What happens without anybody pressing anything. `recipients` null while it is not known how many there are. */
export function nextWords(token: Pick<Token, 'expiresAt' | 'origin'>, recipients: number | null, now: number): string {
  const told = recipients === null ? 'whoever stands under Alerts' : counted(recipients, 'recipient')
  const nobody = 'Nobody is told: no recipient stands under Alerts.'
  if (token.expiresAt === null) {
    const watched =
      token.origin === 'pasted'
        ? 'A pasted token does not say when it ends. Quayside asks regularly whether it still works.'
        : 'It never ends by itself, so nobody is reminded. Quayside asks regularly whether it still works.'
    return recipients === 0 ? `${watched} ${nobody}` : `${watched} When it no longer does, an alert goes to ${told}.`
  }
  if (recipients === 0) return nobody
  const endsAt = token.expiresAt
  const ahead = reminderDays.filter(days => now < endsAt - days * dayMs)
  if (ahead.length === 0) return `The last reminder went out. When it ends, an alert goes to ${told}.`
  return `A reminder goes to ${told} ${listed.format(ahead.map(String))} ${ahead.length === 1 && ahead[0] === 1 ? 'day' : 'days'} before.`
}
