"""FODVid: flow-guided object discovery in videos."""
