/** The pages that are in the navigation and the palette: address, title, and the keys that go there. */
export const PAGES = [
  ["/", "Experiments", "g e"],
  ["/testing", "Testing", "g t"],
  ["/data", "Data", "g f"],
  ["/queue", "Queue", "g q"],
  ["/devices", "Devices", "g d"],
  ["/storage", "Storage", "g o"],
  ["/activity", "Activity", "g a"],
  ["/settings", "Settings", "g s"],
] as const;
