// What an authorization does, step by step, and how far it is, as the server's records show it. A step that could not be done is
// `left`, with what is to do about it; nothing is ticked because it was only supposed to happen. Pure.
import type { Grant, Token } from '../../../server/http/contract/custody.ts'

export interface Step {
  title: string
  state: 'done' | 'now' | 'ahead' | 'left'
  note: string | null
}

export interface Seen {
  purpose: Grant['purpose']
  grant: Pick<Grant, 'status'> | null
  /** The token that has to go, as custody shows it now; null = there was none, or it may not be seen yet. */
  former: Pick<Token, 'status' | 'origin' | 'error'> | null
  /** The installation has ended. */
  ended: boolean
  /** After that: our webhook still stands, because it could not be removed. */
  webhookLeft?: boolean
}

const reached: Record<Grant['status'], number> = { started: 0, failed: 0, exchanged: 1, minted: 2, revoked: 3, revoke_refused: 3 }

/** `instead` is what is said where it could not be done. */
type Drawn = Omit<Step, 'state'> & { done: boolean; left?: boolean; instead?: string }

export function stepsOf({ purpose, grant, former, ended, webhookLeft = false }: Seen): Step[] {
  const status = grant?.status ?? 'started'
  const at = ended ? 3 : reached[status]
  const simple = (title: string, from: number): Drawn => ({ title, done: at >= from, note: null })
  const authorise = simple('You authorise in the other window', 1)
  const giveBack: Drawn = {
    title: 'Your authorization is given back',
    done: at >= 3 && status !== 'revoke_refused',
    left: status === 'revoke_refused',
    instead: 'Your authorization could not be given back',
    note: null
  }
  // Said only while it lasts, from the switch to the deletion.
  const draining = at === 2 ? 'Requests under way may end with it first: two minutes at most.' : null
  const old = (title: string): Drawn => {
    if (former === null) return { ...simple(title, 3), note: draining }
    // A pasted one only a person can delete, and the record says so.
    const left = former.status === 'orphaned' || (former.status === 'retired' && former.origin === 'pasted')
    const instead = former.origin === 'pasted' ? 'The old token was pasted, and is left to you' : 'The old token could not be deleted'
    return {
      title,
      done: former.status === 'retired' && !left,
      left,
      instead,
      note: left ? former.error : former.status === 'retiring' ? draining : null
    }
  }
  const drawn: Record<Grant['purpose'], Drawn[]> = {
    mint: [authorise, simple('A token is minted for the stack, sealed and verified', 2), giveBack],
    rotate: [
      authorise,
      simple('A new token is minted, sealed and verified; work goes on with it', 2),
      old('The old token is deleted, and proven dead while the new one lives'),
      giveBack
    ],
    delete: [authorise, simple('Work of this stack is put on hold', 2), old('The token is deleted and proven dead'), giveBack],
    uninstall: [
      authorise,
      {
        title: 'Work ends, and our webhook is removed',
        instead: 'Work ended, but our webhook could not be removed',
        done: at >= 2 && !webhookLeft,
        left: webhookLeft,
        note: webhookLeft ? 'A person deletes it in Contentstack under Settings, Webhooks.' : null
      },
      old('The token is deleted and proven dead'),
      giveBack,
      { title: 'The installation ends', done: ended, note: null }
    ]
  }
  const over = ended || status === 'revoked' || status === 'revoke_refused' || status === 'failed'
  const first = drawn[purpose].findIndex(({ done, left }) => !done && !left)
  return drawn[purpose].map(({ title, instead, note, done, left }, index) => ({
    title: left ? (instead ?? title) : title,
    note,
    state: left ? 'left' : done ? 'done' : !over && index === first ? 'now' : 'ahead'
  }))
}
