import { useAllCommands } from "./registry";

/** Every key that does something here. */
export default function ShortcutsPage() {
  const commands = useAllCommands().filter((one) => one.keys !== undefined);
  return (
    <div className="mx-auto w-full max-w-2xl p-4">
      <h1 className="mb-1 text-lg font-semibold">Shortcuts</h1>
      <p className="mb-4 text-dim">
        Everything else is in the palette: <kbd className="font-mono">Ctrl K</kbd> or <kbd className="font-mono">⌘ K</kbd>. Boards have more
        keys, which the palette shows there.
      </p>
      <table className="w-full border border-line bg-panel text-left">
        <thead className="text-dim">
          <tr className="border-b border-line">
            <th className="px-3 py-1.5 font-medium">Keys</th>
            <th className="px-3 py-1.5 font-medium">What they do</th>
          </tr>
        </thead>
        <tbody>
          {commands.map(({ keys, title }) => (
            <tr key={keys} className="border-b border-line last:border-0">
              <td className="px-3 py-1.5">
                <kbd className="font-mono">{keys}</kbd>
              </td>
              <td className="px-3 py-1.5">{title}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
