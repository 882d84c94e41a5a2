// The stack's token in custody: what is the matter with it and what to press, then all that may be known of it, then what was before.
// The token itself is never here; its fingerprint is. A reminder's link (…?rotate, or #token) opens the form at once.
import { useState } from 'react'
import { useLocation, useNavigate } from 'react-router'
import { Button, Empty, Problem, Waiting } from '../basics.tsx'
import { ConnectToken } from './connect-token.tsx'
import { useCustody, useStack } from './stack-view.tsx'
import { TokenBanner } from './token-banner.tsx'
import { CurrentToken, TokenUnproven } from './token-facts.tsx'
import { TokenPast } from './token-past.tsx'
import { phaseOf, pressOf } from './token-words.ts'

export function TokenSection() {
  const { can, installation } = useStack()
  const custody = useCustody(10_000)
  const [asked, answered] = useRotateAsked()
  const [chosen, setChosen] = useState<'grant' | 'paste' | null>(null)
  const connecting = chosen ?? (asked && can.custody ? 'grant' : null)
  const close = () => {
    setChosen(null)
    answered()
  }
  const current = custody.data?.current ?? null
  const standing = current ?? installation.token
  const phase = phaseOf(standing, Date.now())
  const urgent = phase === 'dead' || phase === 'exposed' || phase === 'expiring'
  const press =
    can.custody && !connecting ? (
      <Button look={urgent || phase === 'none' ? 'primary' : 'secondary'} onClick={() => setChosen('grant')}>
        {pressOf(phase)}
      </Button>
    ) : null

  return (
    <section className="section" id="token" aria-labelledby="token-heading">
      <div className="row-apart">
        <h2 id="token-heading">Management token</h2>
        {custody.data && standing && !urgent ? press : null}
      </div>
      {custody.data ? (
        <>
          <TokenBanner token={standing} action={can.custody ? <div className="row">{press}</div> : null} />
          {connecting ? (
            <ConnectToken way={connecting} replacing={standing !== null} former={current} onWay={setChosen} onClose={close} />
          ) : null}
          {current ? (
            <CurrentToken token={current} grant={connecting ? null : custody.data.grant} />
          ) : installation.token ? (
            <TokenUnproven token={installation.token} />
          ) : connecting ? null : (
            <Empty
              action={
                can.custody ? (
                  <div className="row">
                    {press}
                    <Button look="plain" onClick={() => setChosen('paste')}>
                      Paste a token instead
                    </Button>
                  </div>
                ) : (
                  <p>A stack Owner or Admin can connect it on the app's configuration page.</p>
                )
              }
            >
              Quayside needs this stack's own management token. You authorise it once; it makes a token that belongs to the stack and names
              nobody, and gives your authorization back at once. Syncs go on when people leave.
            </Empty>
          )}
          <TokenPast history={custody.data.history} grant={connecting ? null : custody.data.grant} />
        </>
      ) : custody.error ? (
        <Problem error={custody.error} retry={() => void custody.refetch()} />
      ) : (
        <Waiting label="the token's state" />
      )}
    </section>
  )
}

/** Whether the address asks for the form, and the way to take that out of it once it was answered. */
function useRotateAsked(): [asked: boolean, answered: () => void] {
  const { pathname, search, hash } = useLocation()
  const navigate = useNavigate()
  const query = new URLSearchParams(search)
  const asked = query.has('rotate') || hash === '#token'
  const answered = () => {
    if (!asked) return
    query.delete('rotate')
    void navigate({ pathname, search: query.toString() }, { replace: true, preventScrollReset: true })
  }
  return [asked, answered]
}
