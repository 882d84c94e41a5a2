// How the installation stands, in one notice and three figures: what any CMS user of the stack may know.
import { count, Notice, Problem } from '../components/basics.tsx'
import { TokenNotice, useInstallation } from './token-notice.tsx'

export function Standing() {
  const query = useInstallation()
  const { token, hold, syncs } = query.data
  const all = syncs.active + syncs.paused
  return (
    <>
      {query.error ? <Problem error={query.error} /> : null}
      <TokenNotice installation={query.data} />
      {token?.status === 'dead' ? null : hold ? (
        <Notice tone="wait" title={hold.reason}>
          <p>Jobs of this stack wait; nothing is lost. A stack admin finds what to do on the app's configuration page.</p>
        </Notice>
      ) : !token ? (
        <Notice tone="quiet" title="This stack is not connected yet.">
          <p>An Owner or Admin of the stack connects it under Settings, Installed Apps, Quayside.</p>
        </Notice>
      ) : syncs.failing > 0 ? (
        <Notice tone="bad" title={`${count(syncs.failing)} of ${count(all)} syncs fail.`}>
          <p>The others go on. A stack admin sees why on the app's page.</p>
        </Notice>
      ) : all > 0 ? (
        <Notice tone="good" title="All syncs of this stack work." />
      ) : (
        <Notice tone="quiet" title="Connected, and nothing is synced yet.">
          <p>A stack admin creates the first sync under Settings, Installed Apps, Quayside.</p>
        </Notice>
      )}
      <dl className="figures">
        {(
          [
            ['Active', syncs.active],
            ['Paused', syncs.paused],
            ['Failing', syncs.failing]
          ] as const
        ).map(([name, value]) => (
          <div key={name} className="figure">
            <dt>{name}</dt>
            <dd>{count(value)}</dd>
          </div>
        ))}
      </dl>
    </>
  )
}
