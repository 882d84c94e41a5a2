// An installation that has ended: what may still stand at Contentstack and who deletes it, what is kept here, and what was told. Nothing
// here is urgent, and nothing here can be pressed but a link.
import { Link } from 'react-router'
import { Notice } from '../../components/basics.tsx'
import { useAlerts, useCustody, useStack } from '../../components/stack/stack-view.tsx'

export function Ended() {
  const { installation } = useStack()
  const alerts = useAlerts()
  const custody = useCustody()
  const parting = alerts.data?.items.find(({ kind }) => kind === 'installation.left')
  const pasted = (custody.data?.history ?? []).filter(({ origin, status }) => origin === 'pasted' && status !== 'rejected')
  const { left } = installation
  return (
    <>
      <section className="section" aria-labelledby="left-heading">
        <h2 id="left-heading">What still stands at Contentstack</h2>
        {left.length === 0 ? (
          <Notice tone="good" title="Nothing of ours that we know of." />
        ) : (
          <Notice tone="wait" title="This may still stand there, and nobody here can use it:">
            <ul className="plain-list">
              {left.map(name => (
                <li key={name}>{`${name.charAt(0).toUpperCase()}${name.slice(1)}`}</li>
              ))}
            </ul>
            <p>
              An Owner or Admin of the stack deletes tokens under Settings, Tokens, Management Tokens, and webhooks under Settings,
              Webhooks. If Quayside is installed in this stack again, its first authorization deletes the tokens.
            </p>
          </Notice>
        )}
        {pasted.length > 0 ? (
          <p>
            Tokens that somebody pasted are theirs, and Quayside never deletes them: {pasted.map(({ name }) => name).join(', ')}. Delete
            them in Contentstack under Settings, Tokens, Management Tokens, if nothing else lives on them.
          </p>
        ) : null}
        {parting && parting.links.length > 0 ? (
          <p className="row">
            {parting.links.map(({ title, url }) => (
              <a key={url} href={url} target="_blank" rel="noopener noreferrer">
                {title}
              </a>
            ))}
          </p>
        ) : null}
      </section>
      <section className="section" aria-labelledby="kept-heading">
        <h2 id="kept-heading">What is kept here</h2>
        <p>
          Its syncs and the links of their records, so that a new installation of this stack can take them over without creating an entry
          twice; its deliveries and its audit. Its secrets and access keys are erased. An admin can delete all of it for good under{' '}
          <Link to="/settings">Settings</Link>.
        </p>
      </section>
    </>
  )
}
