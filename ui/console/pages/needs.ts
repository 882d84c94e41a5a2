// Which installations need a person, why, and what that person presses. Pure: these are the first words an operator reads.
import type { Custody } from '../../../server/http/contract/custody.ts'
import type { AlertRecipient, Installation } from '../../../server/http/contract/stack.ts'
import { counted } from '../../components/basics.tsx'
import { installationLook, type Look, needStates } from '../../components/state.tsx'
import { expiryWords, phaseOf, waitingWords } from '../../components/stack/token-words.ts'

export interface Need {
  installation: Installation
  look: Look
  why: string
  remedy: string
  /** Where an admin presses it: behind the address of the installation's page. null = its page only tells. */
  at: '?rotate' | '#alerts' | null
}

/** What an installation's own summary does not say; absent while it is not known. */
export interface Closer {
  exposed?: boolean
  recipients?: AlertRecipient[]
}

export function closerOf(custody: Custody | undefined, recipients: AlertRecipient[] | undefined): Closer {
  return { ...(custody && { exposed: custody.current?.exposed ?? false }), ...(recipients && { recipients }) }
}

/** Worst first. */
const concerns = {
  dead: { remedy: 'Replace the token', at: '?rotate' },
  held: { remedy: 'Look what releases it', at: null },
  none: { remedy: 'Connect the stack', at: '?rotate' },
  exposed: { remedy: 'Rotate the token', at: '?rotate', look: needStates.exposed },
  expiring: { remedy: 'Rotate the token', at: '?rotate', look: needStates.expiring },
  unreached: { remedy: 'Look at the recipients', at: '#alerts', look: needStates.unreached },
  orphaned: { remedy: 'Rotate the token: that deletes it', at: '?rotate', look: needStates.left },
  ended: { remedy: 'Look what is left, and delete it there', at: null, look: needStates.left },
  pending: { remedy: 'Open the app in the stack once; that confirms it.', at: null },
  unclaimed: { remedy: 'Add the organization to the settings, or leave it idle.', at: null }
} satisfies Record<string, Pick<Need, 'remedy' | 'at'> & { look?: Look }>

type Concern = keyof typeof concerns
const order = Object.keys(concerns) as Concern[]

/** The worst first; one installation may need several things. Installations that only wait for nobody are left out. */
export function needs(installations: Installation[], closer: Map<string, Closer> = new Map(), now = Date.now()): Need[] {
  return installations
    .flatMap(installation => concernsOf(installation, closer.get(installation.id) ?? {}, now).map(told => ({ installation, ...told })))
    .toSorted((a, b) => order.indexOf(a.concern) - order.indexOf(b.concern))
    .map(({ installation, concern, why }) => ({ installation, look: installationLook(installation), why, ...concerns[concern] }))
}

interface Told {
  concern: Concern
  why: string
}

function concernsOf(installation: Installation, closer: Closer, now: number): Told[] {
  const { status, left } = installation
  const named = left.join(', ')
  switch (status) {
    case 'unclaimed':
      return [{ concern: 'unclaimed', why: 'Its organization is not on the list of this Quayside.' }]
    case 'pending':
      return [{ concern: 'pending', why: 'It was installed, but Contentstack has not confirmed it yet.' }]
    case 'uninstalled':
      return left.length === 0 ? [] : [{ concern: 'ended', why: `After the uninstall ${named} may still stand in Contentstack.` }]
    case 'active':
      return [
        ...ofToken(installation, closer, now),
        ...unreached(closer.recipients ?? []),
        ...(left.length === 0
          ? []
          : [
              {
                concern: 'orphaned' as const,
                why: `In Contentstack ${named} may still stand, and nobody here holds ${left.length === 1 ? 'it' : 'them'}.`
              }
            ])
      ]
  }
}

function ofToken({ token, hold, syncs }: Installation, { exposed = false }: Closer, now: number): Told[] {
  const held: Told[] = hold ? [{ concern: 'held', why: hold.reason }] : []
  const expires = token?.expiresAt ?? null
  switch (phaseOf(token && { ...token, exposed }, now)) {
    case 'dead':
      return [{ concern: 'dead', why: `Its token is refused by Contentstack; ${waitingWords(syncs.active)}.` }]
    case 'none':
      return [{ concern: 'none', why: hold?.reason ?? 'No token is in custody, so nothing can be synced.' }]
    case 'exposed':
      return [...held, { concern: 'exposed', why: 'The key that sealed its token may be known to others, and so the token.' }]
    case 'expiring': {
      const when = expires === null ? 'is about to expire' : expiryWords(expires, now)
      return [...held, { concern: 'expiring', why: `Its token ${when}; then ${waitingWords(syncs.active)}.` }]
    }
    case 'coming':
    case 'well':
      return held
  }
}

function unreached(recipients: AlertRecipient[]): Told[] {
  const failing = recipients.filter(({ error }) => error !== null)
  const [first] = failing
  if (!first) return []
  const whom =
    failing.length === 1
      ? `${first.address}: ${first.error}`
      : `${counted(failing.length, 'recipient')}: ${failing.map(each => each.address).join(', ')}.`
  return [{ concern: 'unreached', why: `Alerts do not reach ${whom}` }]
}
