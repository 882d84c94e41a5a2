// Which installations need a person, why, and what that person does. Pure: these are the first words an operator reads.
import type { Installation } from '../../../server/http/contract/stack.ts'

export interface Need {
  installation: Installation
  why: string
  remedy: string
}

const soonMs = 14 * 86_400_000

/** The worst first. Installations that only wait for nobody are left out. */
export function needs(installations: Installation[], now = Date.now()): Need[] {
  return installations.flatMap(installation => needOf(installation, now) ?? []).toSorted((a, b) => a.rank - b.rank)
}

function needOf(installation: Installation, now: number): (Need & { rank: number }) | null {
  const { status, token, hold } = installation
  const need = (rank: number, why: string, remedy: string) => ({ installation, why, remedy, rank })
  if (status === 'uninstalled') return null
  if (status === 'unclaimed')
    return need(4, 'Its organization is not on the list of this Quayside.', 'Add the organization to the settings, or leave it idle.')
  if (status === 'pending')
    return need(3, 'It was installed, but Contentstack has not confirmed it yet.', 'Open the app in the stack once; that confirms it.')
  if (token?.status === 'dead')
    return need(0, 'Its token is refused by Contentstack. Its jobs wait; nothing is lost.', 'A stack admin replaces the token.')
  if (hold) return need(1, hold.reason, 'Open the installation to see what releases it.')
  if (!token) return need(2, 'No token is in custody, so nothing can be synced.', 'A stack admin connects the stack.')
  if (token.expiresAt !== null && token.expiresAt - now < soonMs)
    return need(2, 'Its token expires within two weeks.', 'A stack admin replaces the token.')
  return null
}
