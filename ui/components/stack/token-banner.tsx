// What is the matter with the token, above everything else about it: what happened, what waits, and the button that mends it.
// Nothing while it is well.
import type { ReactNode } from 'react'
import { Notice } from '../basics.tsx'
import { Day, Moment, useNow } from '../time.tsx'
import { useStack } from './stack-view.tsx'
import { expiryWords, type Phase, phaseOf, type Standing, waitingWords } from './token-words.ts'

export function TokenBanner({ token, action }: { token: Standing | null; action: ReactNode }) {
  const { installation } = useStack()
  const now = useNow()
  const stack = installation.stackName || 'this stack'
  const { active } = installation.syncs
  const phase: Phase = phaseOf(token, now)
  if (token === null || phase === 'none' || phase === 'coming' || phase === 'well') return null
  if (phase === 'dead') {
    return (
      <Notice
        tone="bad"
        title={
          <>
            The token of {stack} was refused by Contentstack
            {installation.hold ? (
              <>
                {' '}
                <Moment at={installation.hold.since} />
              </>
            ) : null}
            .
          </>
        }
      >
        <p>
          {active === 0
            ? 'Nothing can be synced until it is replaced.'
            : `Its ${active === 1 ? 'sync is' : `${active} syncs are`} on hold; nothing is lost. ${
                active === 1 ? 'It goes' : 'They go'
              } on with a new token.`}
        </p>
        {action ?? <p>A stack Owner or Admin can replace it on the app's configuration page.</p>}
      </Notice>
    )
  }
  if (phase === 'exposed') {
    return (
      <Notice tone="wait" title={`The token of ${stack} should be replaced, although it works.`}>
        <p>
          The key that sealed it was reported as known to others, so the token may be known to them too. Rotating ends it at Contentstack.
        </p>
        {action ?? <p>A stack Owner or Admin can rotate it on the app's configuration page.</p>}
      </Notice>
    )
  }
  return (
    <Notice
      tone="wait"
      title={
        <>
          The token of {stack} {token.expiresAt === null ? 'is about to expire' : expiryWords(token.expiresAt, now)}
          {token.expiresAt === null ? null : (
            <>
              , on <Day at={token.expiresAt} />
            </>
          )}
          .
        </>
      }
    >
      <p>When it does, {waitingWords(active)}.</p>
      {action ?? <p>A stack Owner or Admin can rotate it on the app's configuration page.</p>}
    </Notice>
  )
}
