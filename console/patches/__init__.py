"""Hot patches: changes to the live service, and how to undo them."""
