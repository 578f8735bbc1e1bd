"""Hot patches: what was changed in the live service, by whom, and how to undo it."""
